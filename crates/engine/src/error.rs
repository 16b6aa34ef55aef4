//! What can go wrong with a generation.

use thiserror::Error;

use crate::TurnTag;

/// Why an engine could not start or finish an answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EngineError {
    /// The engine's queue is full; trying again later may work.
    #[error("the engine has {waiting} requests waiting, which is its limit")]
    Busy {
        /// Requests that wait already.
        waiting: usize,
    },
    /// The request continues from a turn that the engine's cache no longer ends with; send the history instead.
    #[error("the cache no longer ends with turn {tag:?}")]
    NotCached {
        /// The turn that the request wanted to continue from.
        tag: TurnTag,
    },
    /// The part that must stay in view is larger than the model can hold.
    #[error("{part} needs {needed_tokens} tokens, but only {limit_tokens} fit")]
    ContextTooLarge {
        /// What is too large, for example `the system prompt`.
        part: &'static str,
        /// Tokens that it needs.
        needed_tokens: u64,
        /// Tokens that fit.
        limit_tokens: u64,
    },
    /// A request that this model can't serve, for example a chat with a model that has no chat template.
    #[error("{reason}")]
    InvalidRequest {
        /// What is wrong, with the value named.
        reason: String,
    },
    /// The model isn't there: it failed to load, or its server can't be reached.
    #[error("model {model:?} is not available: {reason}")]
    ModelUnavailable {
        /// The model's name.
        model: String,
        /// Why.
        reason: String,
    },
    /// The model's server has more to do than it takes; trying again later may work.
    #[error("{server} is busy: {reason}")]
    UpstreamBusy {
        /// The server, as users know it.
        server: String,
        /// What it said.
        reason: String,
    },
    /// The model's server has failed, or said something that its protocol doesn't have.
    #[error("{server} failed: {reason}")]
    UpstreamFailed {
        /// The server, as users know it.
        server: String,
        /// What happened.
        reason: String,
    },
    /// The model's server was silent for too long.
    #[error("{server} was too slow: {reason}")]
    UpstreamTimeout {
        /// The server, as users know it.
        server: String,
        /// What was waited for, and how long.
        reason: String,
    },
    /// A fault of the engine itself.
    #[error("the engine failed: {reason}")]
    Internal {
        /// What happened.
        reason: String,
    },
}
