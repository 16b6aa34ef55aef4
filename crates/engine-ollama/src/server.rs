//! One Ollama server: its models, and an engine for each.

use std::sync::Arc;

use engine::{Engine, EngineError};
use tokio::runtime::Handle;
use upstream::{RemoteEngine, Server, ServerModel, Settings, UpstreamError};

use crate::ask::OllamaWire;
use crate::models;

/// An Ollama server, or one that speaks its language.
#[derive(Debug, Clone)]
pub struct OllamaServer {
    server: Server,
}

impl OllamaServer {
    /// A server at an address like `http://localhost:11434`; nothing is sent yet. Answers are read on `runtime`.
    ///
    /// [`Settings::context_tokens`] is sent with every request (`num_ctx`): Ollama loads a model with that much room.
    ///
    /// # Errors
    /// [`UpstreamError::Url`] and [`UpstreamError::Client`].
    pub fn new(url: &str, settings: Settings, runtime: Handle) -> Result<Self, UpstreamError> {
        let server = Server::new("Ollama", url, settings, runtime)?;
        Ok(Self { server })
    }

    /// The model of that name, which users see as `ollama:NAME`. Whether the server has it is found out by asking.
    #[must_use]
    pub fn engine(&self, model: &str) -> Arc<dyn Engine> {
        let wire = OllamaWire {
            model: model.to_owned(),
            context_tokens: self.server.settings().context_tokens,
        };
        Arc::new(RemoteEngine::new(self.server.clone(), wire, format!("ollama:{model}")))
    }

    /// The models that the server has, and which of them are in memory.
    ///
    /// # Errors
    /// [`EngineError::UpstreamTimeout`], [`EngineError::UpstreamBusy`], else [`EngineError::UpstreamFailed`].
    pub async fn models(&self) -> Result<Vec<ServerModel>, EngineError> {
        models::list(&self.server).await
    }
}
