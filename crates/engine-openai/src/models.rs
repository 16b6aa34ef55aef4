//! What a server has: `/v1/models`.

use engine::EngineError;
use serde::Deserialize;
use upstream::{Server, ServerModel, UpstreamError};

#[derive(Deserialize)]
struct Listing {
    data: Vec<Listed>,
}

#[derive(Deserialize)]
struct Listed {
    id: String,
}

pub(crate) async fn list(server: &Server) -> Result<Vec<ServerModel>, EngineError> {
    let body = server.list("/models").await?;
    let listing: Listing = serde_json::from_str(&body).map_err(|source| EngineError::UpstreamFailed {
        server: server.name().to_owned(),
        reason: UpstreamError::malformed(&body, source).to_string(),
    })?;
    let models = listing.data.into_iter().map(|model| ServerModel {
        name: model.id,
        loaded: None,
    });
    Ok(models.collect())
}
