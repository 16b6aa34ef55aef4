//! One OpenAI-compatible server: its models, and an engine for each.

use std::sync::Arc;

use engine::{Engine, EngineError};
use tokio::runtime::Handle;
use upstream::{RemoteEngine, Server, ServerModel, Settings, UpstreamError};

use crate::models;
use crate::request::OpenAiWire;

/// A server with OpenAI's chat completions interface.
#[derive(Debug, Clone)]
pub struct OpenAiServer {
    server: Server,
}

impl OpenAiServer {
    /// Describes a server at an address like `http://localhost:8080`, with or without `/v1`, without sending a request.
    /// Tasks on `runtime` read the answers.
    ///
    /// # Errors
    /// [`UpstreamError::Url`] and [`UpstreamError::Client`].
    pub fn new(url: &str, settings: Settings, runtime: Handle) -> Result<Self, UpstreamError> {
        let server = Server::new("OpenAI-compatible server", &with_version(url), settings, runtime)?;
        Ok(Self { server })
    }

    /// Returns an engine for a model, which users know as `openai:NAME`. The first request shows whether the server has
    /// it.
    #[must_use]
    pub fn engine(&self, model: &str) -> Arc<dyn Engine> {
        let wire = OpenAiWire {
            model: model.to_owned(),
        };
        Arc::new(RemoteEngine::new(self.server.clone(), wire, format!("openai:{model}")))
    }

    /// Lists the server's models; whether they are in memory is unknown.
    ///
    /// # Errors
    /// [`EngineError::UpstreamTimeout`], [`EngineError::UpstreamBusy`], else [`EngineError::UpstreamFailed`].
    pub async fn models(&self) -> Result<Vec<ServerModel>, EngineError> {
        models::list(&self.server).await
    }
}

/// Appends `/v1` to an address unless its path has a version, such as `…/v1` or `…/v1beta/openai`.
pub(crate) fn with_version(url: &str) -> String {
    let url = url.trim().trim_end_matches('/');
    let (_, address) = url.split_once("://").unwrap_or(("", url));
    let is_version = |segment: &str| {
        let number = segment.strip_prefix('v').unwrap_or_default();
        number.starts_with(|first: char| first.is_ascii_digit())
    };
    if address.split('/').skip(1).any(is_version) {
        url.to_owned()
    } else {
        format!("{url}/v1")
    }
}
