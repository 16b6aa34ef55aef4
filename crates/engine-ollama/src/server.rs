//! One Ollama server: its models, and an engine for each.

use std::sync::Arc;

use engine::{Engine, EngineError};
use tokio::runtime::Handle;
use upstream::{RemoteEngine, Server, ServerModel, Settings, UpstreamError};

use crate::models;
use crate::request::OllamaWire;

/// An Ollama server, or one with the same interface.
#[derive(Debug, Clone)]
pub struct OllamaServer {
    server: Server,
}

impl OllamaServer {
    /// Describes a server at an address like `http://localhost:11434`, without sending a request. Tasks on `runtime`
    /// read the answers.
    ///
    /// [`Settings::context_tokens`] is sent with each request (`num_ctx`): Ollama loads a model with a context of that
    /// size.
    ///
    /// # Errors
    /// [`UpstreamError::Url`] and [`UpstreamError::Client`].
    pub fn new(url: &str, settings: Settings, runtime: Handle) -> Result<Self, UpstreamError> {
        let server = Server::new("Ollama", url, settings, runtime)?;
        Ok(Self { server })
    }

    /// Returns an engine for a model, which users know as `ollama:NAME`. The first request shows whether the server has
    /// it.
    #[must_use]
    pub fn engine(&self, model: &str) -> Arc<dyn Engine> {
        let wire = OllamaWire {
            model: model.to_owned(),
            context_tokens: self.server.settings().context_tokens,
        };
        Arc::new(RemoteEngine::new(self.server.clone(), wire, format!("ollama:{model}")))
    }

    /// Lists the server's models, and which of them are in memory.
    ///
    /// # Errors
    /// [`EngineError::UpstreamTimeout`], [`EngineError::UpstreamBusy`], else [`EngineError::UpstreamFailed`].
    pub async fn models(&self) -> Result<Vec<ServerModel>, EngineError> {
        models::list(&self.server).await
    }
}
