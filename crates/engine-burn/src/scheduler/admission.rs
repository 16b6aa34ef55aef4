//! Decides how a request's prompt is computed: continued from a cache, or in a new epoch.

use engine::{EngineError, Message, Request, TurnTag};

use super::cache_pool::CachePool;
use super::runner::ModelRunner;
use crate::conversation::{Conversation, RewindPoint, StreamState};
use crate::prompt::{Prompt, history_room};

/// An admitted request: its conversation, and the prompt that the model has to read next.
#[derive(Debug)]
pub(crate) struct Admission {
    /// Taken from the pool, or new.
    pub(crate) conversation: Conversation,
    /// The part of the request that the cache doesn't have.
    pub(crate) prompt: Prompt,
    /// The state before the turn; `None` for a new epoch.
    pub(crate) rewind_point: Option<RewindPoint>,
    /// The turn that begins.
    pub(crate) tag: TurnTag,
}

impl Admission {
    /// Admits a request, and takes its conversation out of the pool; after an error it is still there. A new epoch
    /// copies its system part if another conversation, in the pool or among the `running` ones, begins with the same
    /// one.
    ///
    /// # Errors
    /// [`EngineError::NotCached`], [`EngineError::ContextTooLarge`] or [`EngineError::InvalidRequest`].
    pub(crate) fn find<'a>(
        request: &Request,
        runner: &ModelRunner,
        pool: &mut CachePool,
        running: impl Iterator<Item = &'a Conversation>,
    ) -> Result<Self, EngineError> {
        match request.continues_from {
            Some(tag) => Self::continued(request, tag, runner, pool),
            None => Self::new_epoch(request, runner, pool, running),
        }
    }

    fn continued(
        request: &Request,
        from: TurnTag,
        runner: &ModelRunner,
        pool: &mut CachePool,
    ) -> Result<Self, EngineError> {
        let not_cached = EngineError::NotCached { tag: from };
        pool.load(&request.conversation, from, runner);
        let Some(cached) = pool.get(&request.conversation) else {
            return Err(not_cached);
        };
        let is_same = cached.stream.last == from
            && cached.system == request.system
            && runner.cache_policy(&request.options, cached.system_tokens)? == cached.policy;
        if !is_same {
            return Err(not_cached);
        }
        let tag = newest(&request.messages)?;
        let pending_ids = &cached.stream.pending_ids;
        let prompt = runner.format().continuation(pending_ids, from, &request.messages)?;
        check_not_empty(&prompt)?;
        cached.check_room(&prompt)?;
        let conversation = pool.take(&request.conversation).ok_or(not_cached)?;
        Ok(Self {
            rewind_point: Some(conversation.rewind_point()),
            conversation,
            prompt,
            tag,
        })
    }

    fn new_epoch<'a>(
        request: &Request,
        runner: &ModelRunner,
        pool: &mut CachePool,
        mut running: impl Iterator<Item = &'a Conversation>,
    ) -> Result<Self, EngineError> {
        let tag = newest(&request.messages)?;
        let mut prompt = runner.format().system(request.system.as_deref())?;
        let system_tokens = prompt.ids.len() as u64;
        let policy = runner.cache_policy(&request.options, system_tokens)?;
        runner
            .format()
            .append_history(&mut prompt, &request.messages, history_room(policy))?;
        let mut conversation = Conversation {
            cache: runner.new_cache(policy)?,
            policy,
            system: request.system.clone(),
            system_tokens,
            epoch: prompt.first_turn().unwrap_or(tag),
            stream: StreamState::new(tag),
        };
        conversation.check_room(&prompt)?;
        let mut copy = |other: &Conversation| conversation.copy_system_prefix(other, &mut prompt);
        let _is_copied = pool.conversations().any(&mut copy) || running.any(copy);
        check_not_empty(&prompt)?;
        // The old epoch goes now: two caches of one conversation would take twice the memory.
        pool.begin_new(&request.conversation);
        Ok(Self {
            conversation,
            prompt,
            rewind_point: None,
            tag,
        })
    }
}

fn check_not_empty(prompt: &Prompt) -> Result<(), EngineError> {
    if prompt.ids.is_empty() {
        return Err(EngineError::InvalidRequest {
            reason: "the prompt has no tokens".to_owned(),
        });
    }
    Ok(())
}

fn newest(messages: &[Message]) -> Result<TurnTag, EngineError> {
    let newest = messages.last().map(|message| message.tag);
    newest.ok_or_else(|| EngineError::InvalidRequest {
        reason: "a request needs a message".to_owned(),
    })
}
