//! One OpenAI-compatible server: its models, and an engine for each.

use std::sync::Arc;

use engine::{Engine, EngineError};
use tokio::runtime::Handle;
use upstream::{RemoteEngine, Server, ServerModel, Settings, UpstreamError};

use crate::ask::OpenAiWire;
use crate::models;

/// A server with OpenAI's chat completions.
#[derive(Debug, Clone)]
pub struct OpenAiServer {
    server: Server,
}

impl OpenAiServer {
    /// A server at an address like `http://localhost:8080`, with or without `/v1`; nothing is sent yet. Answers are read on
    /// `runtime`.
    ///
    /// # Errors
    /// [`UpstreamError::Url`] and [`UpstreamError::Client`].
    pub fn new(url: &str, settings: Settings, runtime: Handle) -> Result<Self, UpstreamError> {
        let server = Server::new("OpenAI-compatible server", &with_version(url), settings, runtime)?;
        Ok(Self { server })
    }

    /// The model of that name, which users see as `openai:NAME`. Whether the server has it is found out by asking.
    #[must_use]
    pub fn engine(&self, model: &str) -> Arc<dyn Engine> {
        let wire = OpenAiWire {
            model: model.to_owned(),
        };
        Arc::new(RemoteEngine::new(self.server.clone(), wire, format!("openai:{model}")))
    }

    /// The models that the server has; whether they are in memory isn't told.
    ///
    /// # Errors
    /// [`EngineError::UpstreamTimeout`], [`EngineError::UpstreamBusy`], else [`EngineError::UpstreamFailed`].
    pub async fn models(&self) -> Result<Vec<ServerModel>, EngineError> {
        models::list(&self.server).await
    }
}

/// An address whose path has a version (`…/v1`, and elsewhere `…/v1beta/openai`) is taken as it is; any other gets `/v1`.
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
