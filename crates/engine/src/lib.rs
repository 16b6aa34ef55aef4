//! Defines the engine trait: a [`Request`] goes in, a bounded stream of [`EngineEvent`]s comes out.
//!
//! Everything that can generate text implements [`Engine`]: the local transformer, and the drivers for model servers.
//! The trait is synchronous and object-safe; the only asynchronous part is the bounded channel inside [`Generation`].
//! An engine never knows agents, sockets or stores: it sees messages with opaque [`TurnTag`]s.

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
pub use generation::{Canceller, Emitter, Generation, SendError, channel};
pub use model::{ContextPolicy, ModelInfo, Readiness, RenderedPrompt, Span, SpanKind};
pub use request::{Message, Options, Request, Role, Tool, ToolCall, TurnTag};
pub use scripted::{Script, ScriptedEngine};

/// Generates answers, one stream of events for each request.
///
/// Implementations own their threads. No method may block on the reader of a [`Generation`].
pub trait Engine: Send + Sync {
    /// Describes the model that answers.
    fn model(&self) -> ModelInfo;

    /// Returns whether the engine can answer now; a loading engine accepts requests and answers once it is ready.
    fn readiness(&self) -> Readiness;

    /// Starts one answer and returns its stream at once.
    ///
    /// # Errors
    /// [`EngineError::Busy`] if the engine's queue is full, [`EngineError::ModelUnavailable`] if it can't answer at
    /// all. Every later failure arrives as [`EngineEvent::Failed`].
    fn generate(&self, request: Request) -> Result<Generation, EngineError>;

    /// Returns the newest turn of a conversation whose answer is in the engine's cache, from which a request may
    /// continue without sending the history.
    ///
    /// This is only a hint: the cache may have been dropped by the time a request arrives, which then fails with
    /// [`EngineError::NotCached`].
    fn cached_through(&self, conversation: &str) -> Option<TurnTag>;

    /// Drops all state that the engine keeps for a conversation.
    fn forget(&self, conversation: &str);

    /// Returns the bytes of keys and values that the engine holds for all conversations, idle ones included; 0 if it
    /// has no cache of its own.
    fn cache_bytes(&self) -> u64 {
        0
    }

    /// Renders the prompt of a request as the model would see it, without generating.
    ///
    /// # Errors
    /// [`EngineError::ModelUnavailable`] before the model is loaded, [`EngineError::ContextTooLarge`] as for
    /// [`Engine::generate`].
    fn render(&self, request: &Request) -> Result<RenderedPrompt, EngineError>;
}
