//! What an engine says while it answers.
//!
//! The order is any number of `Queued` while the engine is full, `Started`, then any number of `Token`, `Reasoning`, `ToolCall` and `Evicted`, then exactly one of `Finished`
//! and `Failed`. A request that fails before it starts has no `Started`.

use crate::{EngineError, ToolCall, TurnTag};

/// One step of an answer.
#[derive(Debug, Clone, PartialEq)]
pub enum EngineEvent {
    /// The engine computes as many answers as it can; the request waits. Said again when it changes.
    Queued {
        /// Answers that are computed now, or will be before this one.
        ahead: usize,
    },
    /// The prompt is tokenised and its place is known; prefill begins.
    Started(Started),
    /// More text of the answer.
    Token {
        /// Whole characters, never empty.
        text: String,
        /// The token ids that made it, in order; together the answer's ids. Empty for engines that have none.
        ids: Vec<u32>,
    },
    /// More of what the model thinks before it answers; no part of the answer.
    Reasoning {
        /// Whole characters, never empty.
        text: String,
    },
    /// The model asks for a tool. The answer still ends in `Finished`; whoever reads it runs the tool and asks again.
    ToolCall(ToolCall),
    /// Tokens have left the window for good.
    Evicted {
        /// How many since the last such event.
        tokens: u64,
        /// The newest turn of which nothing is left in view, if any has gone.
        through: Option<TurnTag>,
    },
    /// The answer is complete.
    Finished(Finished),
    /// The answer can't be completed; what was sent of it stands.
    Failed(EngineError),
}

/// How the prompt was placed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Started {
    /// Tokens of the prompt that this turn added or had to bring back, cached ones excluded; 0 from a server that says so only
    /// at the end, in [`Usage`].
    pub prompt_tokens: u64,
    /// Tokens in view that were in the cache already.
    pub cached_tokens: u64,
    /// Attention sinks in force.
    pub sink_tokens: u64,
    /// Window in force; smaller than asked for when the model's trained context is.
    pub window_tokens: u64,
    /// The first turn of the epoch that the answer belongs to: replaying from there rebuilds the prompt.
    pub epoch: TurnTag,
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FinishReason {
    /// The model ended it, or a stop string was met.
    Stop,
    /// `max_new_tokens` was reached, or a dense cache is full.
    Length,
    /// It was cancelled.
    Cancelled,
}

/// How the answer ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Finished {
    /// Why.
    pub reason: FinishReason,
    /// The whole answer's token ids, as the next turn's prompt will hold them; empty for engines that have none. After a stop
    /// string they spell exactly the text that was sent.
    pub answer_ids: Vec<u32>,
    /// Counts of tokens.
    pub usage: Usage,
    /// Durations.
    pub timings: Timings,
}

/// Counts of tokens, at the end of an answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// As in [`Started`].
    pub prompt_tokens: u64,
    /// As in [`Started`].
    pub cached_tokens: u64,
    /// Tokens generated.
    pub completion_tokens: u64,
    /// Attention sinks in force.
    pub sink_tokens: u64,
    /// Window in force.
    pub window_tokens: u64,
    /// Tokens that left the window during this turn.
    pub evicted_tokens: u64,
    /// The context that the model was trained for.
    pub context_limit: u64,
}

/// Durations, at the end of an answer.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Timings {
    /// From the request to the start of its prefill, milliseconds.
    pub queue_ms: f64,
    /// Prefill, milliseconds.
    pub prefill_ms: f64,
    /// From the request to the first token, milliseconds.
    pub first_token_ms: f64,
    /// From the first token to the last, milliseconds.
    pub decode_ms: f64,
    /// Tokens after the first, per second of `decode_ms`; 0 for fewer than two tokens.
    pub tokens_per_second: f64,
}
