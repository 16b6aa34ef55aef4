//! Where a request's prompt goes: on from a cache, or into a new epoch.

use engine::{EngineError, Message, Request, TurnTag};

use super::conversation::{Checkpoint, Conversation, Ledger};
use super::runner::ModelRunner;
use super::shelf::Shelf;
use super::turn::Turn;
use crate::prompt::{Prompt, history_room};

/// A conversation, and the prompt to be read next.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) conversation: Conversation,
    pub(crate) prompt: Prompt,
    /// Where to go back to; `None` for a new epoch.
    pub(crate) checkpoint: Option<Checkpoint>,
    /// The turn that begins.
    pub(crate) tag: TurnTag,
}

impl Place {
    /// Finds the place of a request, and takes its conversation off the shelf if all is well; else the shelf stays as it is. A new
    /// epoch takes over its system part, if another conversation that is on the shelf or among the turns begins with the same.
    ///
    /// # Errors
    /// [`EngineError::NotCached`], [`EngineError::ContextTooLarge`] or [`EngineError::InvalidRequest`].
    pub(crate) fn find(
        request: &Request,
        machine: &ModelRunner,
        shelf: &mut Shelf,
        running: &[Turn],
    ) -> Result<Self, EngineError> {
        let place = match request.continues_from {
            Some(tag) => Self::continued(request, tag, machine, shelf),
            None => Self::new_epoch(request, machine, shelf, running),
        }?;
        if place.prompt.ids.is_empty() {
            return Err(EngineError::InvalidRequest {
                reason: "the prompt has no tokens".to_owned(),
            });
        }
        Ok(place)
    }

    fn continued(
        request: &Request,
        tag: TurnTag,
        machine: &ModelRunner,
        shelf: &mut Shelf,
    ) -> Result<Self, EngineError> {
        let not_cached = EngineError::NotCached { tag };
        shelf.fetch(&request.conversation, tag, machine);
        let Some(cached) = shelf.get(&request.conversation) else {
            return Err(not_cached);
        };
        let is_same = cached.ledger.last == tag
            && cached.system == request.system
            && machine.place(&request.options, cached.system_tokens)? == cached.policy;
        if !is_same {
            return Err(not_cached);
        }
        let prompt = machine
            .format()
            .continuation(&cached.ledger.unfed, tag, &request.messages)?;
        cached.check_room(&prompt)?;
        let conversation = shelf.take(&request.conversation).ok_or(not_cached)?;
        let checkpoint = Some(conversation.checkpoint());
        Ok(Self {
            conversation,
            prompt,
            checkpoint,
            tag: newest(&request.messages)?,
        })
    }

    fn new_epoch(
        request: &Request,
        machine: &ModelRunner,
        shelf: &mut Shelf,
        running: &[Turn],
    ) -> Result<Self, EngineError> {
        let tag = newest(&request.messages)?;
        let mut prompt = machine.format().system(request.system.as_deref())?;
        let system_tokens = prompt.ids.len() as u64;
        let policy = machine.place(&request.options, system_tokens)?;
        machine
            .format()
            .append_history(&mut prompt, &request.messages, history_room(policy))?;
        let mut conversation = Conversation {
            cache: machine.new_cache(policy)?,
            policy,
            system: request.system.clone(),
            system_tokens,
            epoch: prompt.first_turn().unwrap_or(tag),
            ledger: Ledger::new(tag),
        };
        conversation.check_room(&prompt)?;
        // A turn that failed within a step may have counted tokens that were never written.
        let running = running.iter().filter(|turn| turn.is_sound()).map(Turn::conversation);
        let _is_shared = shelf
            .conversations()
            .chain(running)
            .any(|other| conversation.begin_with_system_of(other, &mut prompt));
        // The old epoch goes now: two caches of one conversation would take twice the memory.
        shelf.discard(&request.conversation);
        Ok(Self {
            conversation,
            prompt,
            checkpoint: None,
            tag,
        })
    }
}

fn newest(messages: &[Message]) -> Result<TurnTag, EngineError> {
    let reason = || "a request needs a message".to_owned();
    messages
        .last()
        .map(|message| message.tag)
        .ok_or_else(|| EngineError::InvalidRequest { reason: reason() })
}
