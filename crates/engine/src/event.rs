//! The events of an answer.
//!
//! Their order is any number of `Queued` while the engine is full, one `Started`, any number of `Token`, `Reasoning`,
//! `ToolCall` and `Evicted`, and exactly one of `Finished` and `Failed`. A request that fails before it starts has no
//! `Started`.

use crate::{EngineError, ToolCall, TurnTag};

/// One event of an answer.
#[derive(Debug, Clone, PartialEq)]
pub enum EngineEvent {
    /// The engine computes as many answers as it can, and the request waits. Sent again when the number changes.
    Queued {
        /// Answers that are being computed, or will be before this one.
        ahead: usize,
    },
    /// The prompt is tokenised and placed in the cache; prefill begins.
    Started(Started),
    /// More text of the answer.
    Token {
        /// Whole characters, never empty.
        text: String,
        /// The token ids that the text was decoded from, in order; those of all events together are the answer's ids.
        /// Empty for engines that have no ids.
        ids: Vec<u32>,
    },
    /// More of the model's reasoning, which is no part of the answer.
    Reasoning {
        /// Whole characters, never empty.
        text: String,
    },
    /// The model calls a tool. The answer still ends in `Finished`; the reader runs the tool and sends a new request.
    ToolCall(ToolCall),
    /// Tokens were evicted from the window and won't return.
    Evicted {
        /// Tokens evicted since the last such event.
        tokens: u64,
        /// The newest turn without any token left in view; `None` if no turn has left since the last such event.
        through: Option<TurnTag>,
    },
    /// The answer is complete.
    Finished(Finished),
    /// The answer can't be completed; the text sent before stays valid.
    Failed(EngineError),
}

/// The placement of the prompt in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Started {
    /// Prompt tokens that have to be prefilled, cached ones excluded; 0 from a server that reports its count only at
    /// the end, in [`Usage`].
    pub prompt_tokens: u64,
    /// Tokens in view that were in the cache already.
    pub cached_tokens: u64,
    /// Attention sinks in force.
    pub sink_tokens: u64,
    /// Window in force; smaller than requested if the model's trained context is.
    pub window_tokens: u64,
    /// The first turn of the epoch that the answer belongs to: replaying from there rebuilds the prompt.
    pub epoch: TurnTag,
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FinishReason {
    /// The model ended it, or a stop string matched.
    Stop,
    /// `max_new_tokens` was reached, or a dense cache is full.
    Length,
    /// It was cancelled.
    Cancelled,
}

/// The outcome of a complete answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Finished {
    /// Why the answer ended.
    pub reason: FinishReason,
    /// The whole answer's token ids, as the next turn's prompt will hold them; empty for engines that have no ids.
    /// After a stop string they spell exactly the text that was sent.
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
