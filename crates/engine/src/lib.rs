//! The engine trait: a [`Request`] goes in, a bounded stream of [`EngineEvent`]s comes out.
//!
//! Everything that can generate text stands behind [`Engine`]: the local transformer, and drivers for model servers. The
//! trait is synchronous and object-safe; the one asynchronous place is the bounded channel inside [`Generation`].
//! An engine never knows an agent, a socket or a store: it sees messages with opaque [`TurnTag`]s.

mod error;
mod event;
mod generation;
mod model;
mod request;
mod scripted;
#[cfg(test)]
mod tests;

pub use error::EngineError;
pub use event::{EngineEvent, FinishReason, Finished, Started, Timings, Usage};
pub use generation::{Canceller, Emitter, Generation, NotSent, channel};
pub use model::{ContextPolicy, ModelInfo, Readiness, Rendered, Span, SpanKind};
pub use request::{Message, Options, Request, Role, Tool, ToolCall, TurnTag};
pub use scripted::{Script, ScriptedEngine};

/// Generates answers, one stream of events for each request.
///
/// Implementations own their threads. No method may block on a reader of a [`Generation`].
pub trait Engine: Send + Sync {
    /// Describes the model that answers.
    fn model(&self) -> ModelInfo;

    /// Says whether the engine can answer now; a loading engine accepts requests and answers them when it is ready.
    fn readiness(&self) -> Readiness;

    /// Starts one answer and returns its stream at once.
    ///
    /// # Errors
    /// [`EngineError::Busy`] when the engine's queue is full, [`EngineError::ModelUnavailable`] when it can't answer at all.
    /// Everything that is found out later arrives as [`EngineEvent::Failed`].
    fn generate(&self, request: Request) -> Result<Generation, EngineError>;

    /// The newest turn of a conversation whose answer is in the engine's cache, to go on from without sending its history.
    ///
    /// Only a hint: the cache may be gone by the time a request arrives, which then fails with [`EngineError::NotCached`].
    fn cached_through(&self, conversation: &str) -> Option<TurnTag>;

    /// Drops whatever the engine keeps of a conversation.
    fn forget(&self, conversation: &str);

    /// Bytes of keys and values that the engine holds of conversations, those that no turn runs in included; 0 where it holds none.
    fn cache_bytes(&self) -> u64 {
        0
    }

    /// Renders the prompt of a request as the model would see it, without generating.
    ///
    /// # Errors
    /// [`EngineError::ModelUnavailable`] before the model is loaded, [`EngineError::ContextTooLarge`] as for [`Engine::generate`].
    fn render(&self, request: &Request) -> Result<Rendered, EngineError>;
}
