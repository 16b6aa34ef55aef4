//! Lists a server's models with `/v1/models`.

use engine::EngineError;
use serde::Deserialize;
use upstream::{Server, ServerModel, UpstreamError};

#[derive(Deserialize)]
struct ModelsResponse {
    data: Vec<ModelEntry>,
}

#[derive(Deserialize)]
struct ModelEntry {
    id: String,
}

/// Fetches the list.
///
/// # Errors
/// Those of [`Server::list`], or [`EngineError::UpstreamFailed`] for a malformed list.
pub(crate) async fn list(server: &Server) -> Result<Vec<ServerModel>, EngineError> {
    let body = server.list("/models").await?;
    let response: ModelsResponse = serde_json::from_str(&body).map_err(|source| EngineError::UpstreamFailed {
        server: server.name().to_owned(),
        reason: UpstreamError::malformed(&body, source).to_string(),
    })?;
    let models = response.data.into_iter().map(|model| ServerModel {
        name: model.id,
        loaded: None,
    });
    Ok(models.collect())
}
