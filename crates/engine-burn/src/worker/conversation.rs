//! What is kept of a conversation between its turns: the cache, and what the cache stands for.

use std::collections::VecDeque;

use engine::{EngineError, TurnTag};
use kv_cache::{CachePolicy, SinkWindow};

use crate::SequenceCache;
use crate::prompt::Prompt;
use crate::sampler::PENALTY_TOKENS;

/// One conversation's cache, and everything that has to fit for a next turn to go on from it.
#[derive(Debug)]
pub(crate) struct Conversation {
    pub(crate) cache: SequenceCache,
    /// Sinks and window in force.
    pub(crate) policy: CachePolicy,
    /// The system part's text, to notice a change.
    pub(crate) system: Option<String>,
    /// Its length.
    pub(crate) system_tokens: u64,
    /// The first turn of the token stream.
    pub(crate) epoch: TurnTag,
    pub(crate) ledger: Ledger,
}

/// What a turn changes beside the cache; a copy of it takes a turn back.
#[derive(Debug, Clone)]
pub(crate) struct Ledger {
    /// The newest turn in the stream.
    pub(crate) last: TurnTag,
    /// Ids that belong to the stream after what the cache holds, such as an answer's last token.
    pub(crate) unfed: Vec<u32>,
    /// The last ids of the stream.
    pub(crate) recent: RecentIds,
    /// Where in the stream each turn ends of which something is in view; not yet the newest.
    pub(crate) ends: VecDeque<(TurnTag, u64)>,
    /// Tokens that have left the view since the epoch began, as far as was told.
    pub(crate) evicted_tokens: u64,
}

/// A state to go back to.
#[derive(Debug)]
pub(crate) struct Checkpoint {
    position: u64,
    ledger: Ledger,
}

/// The last [`PENALTY_TOKENS`] ids of a stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct RecentIds(Vec<u32>);

/// Tokens that have left the view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Departure {
    /// How many since the last one.
    pub(crate) tokens: u64,
    /// The newest turn of which nothing is left, if one has gone since the last one.
    pub(crate) through: Option<TurnTag>,
}

impl Conversation {
    /// Takes over the system part from the cache of a conversation that begins with the same one, so that it need not be read again;
    /// whether it could. `prompt`, which begins with it, loses it.
    pub(crate) fn begin_with_system_of(&mut self, other: &Self, prompt: &mut Prompt) -> bool {
        let is_same =
            self.system_tokens > 0 && (&self.system, self.system_tokens) == (&other.system, other.system_tokens);
        if !is_same || !self.cache.copy_prefix(&other.cache, self.system_tokens) {
            return false;
        }
        self.ledger.recent.extend(&prompt.take_first_span());
        true
    }

    /// The state to go back to when the turn that begins now is dropped.
    pub(crate) fn checkpoint(&self) -> Checkpoint {
        Checkpoint {
            position: self.cache.position(),
            ledger: self.ledger.clone(),
        }
    }

    /// Goes back; `None` when the cache has overwritten what it would need.
    pub(crate) fn restored(mut self, checkpoint: Checkpoint) -> Option<Self> {
        self.cache.rewind(checkpoint.position).ok()?;
        self.ledger = checkpoint.ledger;
        Some(self)
    }

    /// Takes up the prompt that will be fed next.
    pub(crate) fn begin(&mut self, prompt: &Prompt) {
        let start = self.cache.position();
        // What was not fed before is part of the stream already, and begins the prompt.
        let unfed = std::mem::take(&mut self.ledger.unfed).len();
        self.ledger
            .ends
            .extend(prompt.turn_ends().map(|(tag, end)| (tag, start + end as u64)));
        self.ledger.recent.extend(&prompt.ids[unfed..]);
    }

    /// Tokens of the cache that the next token will see.
    pub(crate) fn tokens_in_view(&self) -> u64 {
        let position = self.cache.position();
        position - self.policy.sink_window().evicted(position)
    }

    /// The most tokens that the stream may have; `None`: no end.
    pub(crate) fn max_tokens(&self) -> Option<u64> {
        self.policy.max_tokens()
    }

    /// # Errors
    /// [`EngineError::ContextTooLarge`] when a dense cache has no room for the prompt.
    pub(crate) fn check_room(&self, prompt: &Prompt) -> Result<(), EngineError> {
        let needed_tokens = self.cache.position() + prompt.ids.len() as u64;
        match self.max_tokens() {
            Some(limit_tokens) if needed_tokens > limit_tokens => Err(EngineError::ContextTooLarge {
                part: "the conversation",
                needed_tokens,
                limit_tokens,
            }),
            Some(_) | None => Ok(()),
        }
    }
}

impl Ledger {
    /// The ledger of an empty stream.
    pub(crate) fn new(last: TurnTag) -> Self {
        Self {
            last,
            unfed: Vec::new(),
            recent: RecentIds::default(),
            ends: VecDeque::new(),
            evicted_tokens: 0,
        }
    }

    /// What has left the view of the token at `position` and was not told yet: something, once a whole turn has gone, or if
    /// this is the end.
    pub(crate) fn take_departure(&mut self, sink_window: SinkWindow, position: u64, is_end: bool) -> Option<Departure> {
        let first_visible = sink_window.first_visible(position);
        let mut through = None;
        while let Some((tag, end)) = self.ends.pop_front_if(|(_, end)| *end <= first_visible) {
            // A turn among the sinks is before the window, but never leaves the view.
            if end > sink_window.sinks() {
                through = Some(tag);
            }
        }
        let tokens = sink_window.evicted(position) - self.evicted_tokens;
        if through.is_none() && !(is_end && tokens > 0) {
            return None;
        }
        self.evicted_tokens += tokens;
        Some(Departure { tokens, through })
    }
}

impl RecentIds {
    pub(crate) fn extend(&mut self, ids: &[u32]) {
        self.0
            .extend_from_slice(&ids[ids.len().saturating_sub(PENALTY_TOKENS)..]);
        self.0.drain(..self.0.len().saturating_sub(PENALTY_TOKENS));
    }

    pub(crate) fn as_slice(&self) -> &[u32] {
        &self.0
    }
}
