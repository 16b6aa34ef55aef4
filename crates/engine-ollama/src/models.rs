//! Lists a server's models: `/api/tags` has all of them, `/api/ps` those in memory.

use std::collections::HashSet;

use engine::EngineError;
use serde::Deserialize;
use upstream::{Server, ServerModel, UpstreamError};

/// The response of both routes.
#[derive(Deserialize)]
struct ModelsResponse {
    models: Vec<ModelEntry>,
}

#[derive(Deserialize)]
struct ModelEntry {
    /// Equal to `model`; some servers send only one of them.
    name: Option<String>,
    model: Option<String>,
}

/// Fetches both lists.
///
/// # Errors
/// Those of [`Server::list`] for the list of all models; a failure of the other list leaves `loaded` unknown.
pub(crate) async fn list(server: &Server) -> Result<Vec<ServerModel>, EngineError> {
    let names = names(&server.list("/api/tags").await?).map_err(|error| EngineError::UpstreamFailed {
        server: server.name().to_owned(),
        reason: error.to_string(),
    })?;
    // Servers that only imitate Ollama often don't have this route.
    let running = server
        .list("/api/ps")
        .await
        .ok()
        .and_then(|body| self::names(&body).ok());
    let running: Option<HashSet<String>> = running.map(HashSet::from_iter);
    let model = |name: String| ServerModel {
        loaded: running.as_ref().map(|running| running.contains(&name)),
        name,
    };
    Ok(names.into_iter().map(model).collect())
}

fn names(body: &str) -> Result<Vec<String>, UpstreamError> {
    let response: ModelsResponse =
        serde_json::from_str(body).map_err(|source| UpstreamError::malformed(body, source))?;
    let entries = response.models.into_iter();
    Ok(entries.filter_map(|entry| entry.name.or(entry.model)).collect())
}
