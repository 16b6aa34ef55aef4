//! What a server has: `/api/tags` lists its models, `/api/ps` those in memory.

use std::collections::HashSet;

use engine::EngineError;
use serde::Deserialize;
use upstream::{Server, ServerModel, UpstreamError};

/// Both lists have this form.
#[derive(Deserialize)]
struct Listing {
    models: Vec<Listed>,
}

#[derive(Deserialize)]
struct Listed {
    /// Both names are the same; some servers say only one.
    name: Option<String>,
    model: Option<String>,
}

pub(crate) async fn list(server: &Server) -> Result<Vec<ServerModel>, EngineError> {
    let names = names(&server.list("/api/tags").await?).map_err(|error| EngineError::UpstreamFailed {
        server: server.name().to_owned(),
        reason: error.to_string(),
    })?;
    // Servers that only speak Ollama's language often don't know this route.
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
    let listing: Listing = serde_json::from_str(body).map_err(|source| UpstreamError::malformed(body, source))?;
    Ok(listing
        .models
        .into_iter()
        .filter_map(|listed| listed.name.or(listed.model))
        .collect())
}
