//! The errors of a generation.

use thiserror::Error;

use crate::TurnTag;

/// Why an engine could not start or complete an answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EngineError {
    /// The engine's queue is full; a later retry may succeed.
    #[error("the engine has {waiting} requests waiting, which is its limit")]
    Busy {
        /// Requests already waiting.
        waiting: usize,
    },
    /// The request continues from a turn with which the engine's cache no longer ends; send the history instead.
    #[error("the cache no longer ends with turn {tag:?}")]
    NotCached {
        /// The turn that the request continues from.
        tag: TurnTag,
    },
    /// The part of the prompt that must stay in view is larger than the model's context.
    #[error("{part} needs {needed_tokens} tokens, but only {limit_tokens} fit")]
    ContextTooLarge {
        /// What is too large, for example `the system prompt`.
        part: &'static str,
        /// Tokens that it needs.
        needed_tokens: u64,
        /// Tokens that fit.
        limit_tokens: u64,
    },
    /// The model can't serve this request, for example a chat with a model that has no chat template.
    #[error("{reason}")]
    InvalidRequest {
        /// What is wrong, naming the value.
        reason: String,
    },
    /// The model isn't available: it failed to load, or its server can't be reached.
    #[error("model {model:?} is not available: {reason}")]
    ModelUnavailable {
        /// The model's name.
        model: String,
        /// Why.
        reason: String,
    },
    /// The model's server refuses more requests for now; a later retry may succeed.
    #[error("{server} is busy: {reason}")]
    UpstreamBusy {
        /// The server, as users know it.
        server: String,
        /// The server's own reason.
        reason: String,
    },
    /// The model's server failed, or sent something that its protocol doesn't define.
    #[error("{server} failed: {reason}")]
    UpstreamFailed {
        /// The server, as users know it.
        server: String,
        /// What happened.
        reason: String,
    },
    /// The model's server sent nothing for too long.
    #[error("{server} was too slow: {reason}")]
    UpstreamTimeout {
        /// The server, as users know it.
        server: String,
        /// What was awaited, and how long.
        reason: String,
    },
    /// An internal fault of the engine.
    #[error("the engine failed: {reason}")]
    Internal {
        /// What happened.
        reason: String,
    },
}
