//! A conversation as it is kept between its turns: the cache, and the token stream that the cache stands for.

use std::collections::VecDeque;

use engine::{EngineError, TurnTag};
use kv_cache::{CachePolicy, SinkWindow};

use crate::SequenceCache;
use crate::prompt::Prompt;
use crate::sampler::PENALTY_TOKENS;

/// One conversation's cache, and everything that must match for a next turn to continue from it.
#[derive(Debug)]
pub(crate) struct Conversation {
    /// Keys and values of the stream.
    pub(crate) cache: SequenceCache,
    /// The sinks and window in force.
    pub(crate) policy: CachePolicy,
    /// The text of the system part; a request with another one can't continue.
    pub(crate) system: Option<String>,
    /// The length of the system part.
    pub(crate) system_tokens: u64,
    /// The first turn of the token stream.
    pub(crate) epoch: TurnTag,
    /// What a turn changes beside the cache.
    pub(crate) stream: StreamState,
}

/// The state of a token stream beside its cache. A copy of it, with the position, is enough to undo a turn.
#[derive(Debug, Clone)]
pub(crate) struct StreamState {
    /// The newest turn in the stream.
    pub(crate) last: TurnTag,
    /// Ids of the stream that the cache hasn't read yet, such as the last token of an answer.
    pub(crate) pending_ids: Vec<u32>,
    /// The last ids of the stream, for the repeat penalty.
    pub(crate) recent: RecentIds,
    /// The turns that are at least partly in view, each with the position where it ends; without the newest.
    pub(crate) ends: VecDeque<(TurnTag, u64)>,
    /// Tokens that have left the view since the epoch began, as far as readers were notified of them.
    pub(crate) evicted_tokens: u64,
}

/// The state of a conversation before a turn, for undoing the turn.
#[derive(Debug)]
pub(crate) struct RewindPoint {
    position: u64,
    stream: StreamState,
}

/// The last [`PENALTY_TOKENS`] ids of a stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct RecentIds(Vec<u32>);

/// Tokens that have left the view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Eviction {
    /// How many tokens since the previous eviction.
    pub(crate) tokens: u64,
    /// The newest turn that is wholly out of view, if there is one since the previous eviction.
    pub(crate) through: Option<TurnTag>,
}

impl Conversation {
    /// Copies the system part from the cache of another conversation that begins with the same one, and removes it from
    /// `prompt`, so that it isn't computed again. Returns true if it was copied.
    pub(crate) fn copy_system_prefix(&mut self, other: &Self, prompt: &mut Prompt) -> bool {
        let is_same =
            self.system_tokens > 0 && (&self.system, self.system_tokens) == (&other.system, other.system_tokens);
        if !is_same || !self.cache.copy_prefix(&other.cache, self.system_tokens) {
            return false;
        }
        self.stream.recent.extend(&prompt.take_first_span());
        true
    }

    /// Returns the state to go back to when the turn that begins now is dropped.
    pub(crate) fn rewind_point(&self) -> RewindPoint {
        RewindPoint {
            position: self.cache.position(),
            stream: self.stream.clone(),
        }
    }

    /// Goes back to an earlier state. Returns `None` if the cache has overwritten what that state needs.
    pub(crate) fn rewound_to(mut self, point: RewindPoint) -> Option<Self> {
        self.cache.rewind(point.position).ok()?;
        self.stream = point.stream;
        Some(self)
    }

    /// Adds a prompt to the stream, which the cache will read next.
    pub(crate) fn begin(&mut self, prompt: &Prompt) {
        let start = self.cache.position();
        // The prompt begins with the pending ids, which are part of the stream already.
        let pending = std::mem::take(&mut self.stream.pending_ids).len();
        self.stream
            .ends
            .extend(prompt.turn_ends().map(|(tag, end)| (tag, start + end as u64)));
        self.stream.recent.extend(&prompt.ids[pending..]);
    }

    /// Returns the number of cached tokens that the next token will attend to.
    pub(crate) fn tokens_in_view(&self) -> u64 {
        let position = self.cache.position();
        position - self.policy.sink_window().evicted(position)
    }

    /// Returns the largest number of tokens that the stream may have; `None` for no limit.
    pub(crate) fn max_tokens(&self) -> Option<u64> {
        self.policy.max_tokens()
    }

    /// Checks that a dense cache has room for the prompt.
    ///
    /// # Errors
    /// [`EngineError::ContextTooLarge`] if it hasn't.
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

impl StreamState {
    /// Returns the state of an empty stream.
    pub(crate) fn new(last: TurnTag) -> Self {
        Self {
            last,
            pending_ids: Vec::new(),
            recent: RecentIds::default(),
            ends: VecDeque::new(),
            evicted_tokens: 0,
        }
    }

    /// Returns what has left the view of the token at `position` since the previous eviction: once a whole turn is out
    /// of view, or, if `is_end`, as soon as any token is.
    pub(crate) fn take_eviction(&mut self, sink_window: SinkWindow, position: u64, is_end: bool) -> Option<Eviction> {
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
        Some(Eviction { tokens, through })
    }
}

impl RecentIds {
    /// Appends ids and drops the oldest beyond [`PENALTY_TOKENS`].
    pub(crate) fn extend(&mut self, ids: &[u32]) {
        self.0
            .extend_from_slice(&ids[ids.len().saturating_sub(PENALTY_TOKENS)..]);
        self.0.drain(..self.0.len().saturating_sub(PENALTY_TOKENS));
    }

    pub(crate) fn as_slice(&self) -> &[u32] {
        &self.0
    }
}
