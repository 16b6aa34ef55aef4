//! `/controllers`: registration, keep-alive and events of controllers.
//!
//! A registration returns a token, which the controller sends as `X-Controller-Token` from then on.

use actix_web::http::header::LOCATION;
use actix_web::web::{self, Payload};
use actix_web::{HttpRequest, HttpResponse};
use protocol::{
    Controller, ControllerEvents, ControllerKeptAlive, ControllerLease, ControllerList, ControllerRegistration,
    ErrorCode, ProtocolError,
};
use relay::{LeaseHolder, LeaseRequest, NarratorError};

use super::body;
use crate::api_error::ApiError;
use crate::state::AppState;

/// The header with a controller's token.
const TOKEN_HEADER: &str = "x-controller-token";

/// `GET /controllers`.
pub(super) async fn list(state: web::Data<AppState>) -> HttpResponse {
    let holders = state.narrator.leases().list();
    HttpResponse::Ok().json(ControllerList {
        controllers: holders.into_iter().map(to_wire).collect(),
    })
}

/// `POST /controllers`.
pub(super) async fn register(
    request: HttpRequest,
    payload: Payload,
    state: web::Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    let body = body::read(payload, &state).await?;
    let wanted = ControllerRegistration::parse(&body).map_err(invalid)?;
    let granted = state.narrator.leases().register(LeaseRequest {
        agent_id: wanted.agent_id,
        workspace_id: wanted.workspace_id,
        ttl_seconds: wanted.ttl_seconds,
        token: Some(token(&request).to_owned()).filter(|token| !token.is_empty()),
    });
    let granted = granted.map_err(NarratorError::from)?;
    Ok(HttpResponse::Created()
        .insert_header((LOCATION, format!("/controllers/{}", granted.registration_id)))
        .json(ControllerLease {
            registration_id: granted.registration_id,
            token: granted.token,
            expires_at: granted.expires_at,
        }))
}

/// `PUT /controllers/{id}/keepalive`.
pub(super) async fn keep_alive(
    request: HttpRequest,
    id: web::Path<String>,
    state: web::Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    let kept = state.narrator.leases().keep_alive(&id, token(&request));
    Ok(HttpResponse::Ok().json(ControllerKeptAlive {
        expires_at: kept.map_err(NarratorError::from)?,
        registration_id: id.into_inner(),
    }))
}

/// `DELETE /controllers/{id}`.
pub(super) async fn release(
    request: HttpRequest,
    id: web::Path<String>,
    state: web::Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    let released = state.narrator.leases().release(&id, token(&request));
    released.map_err(NarratorError::from)?;
    Ok(HttpResponse::NoContent().finish())
}

/// `POST /controllers/{id}/events`.
pub(super) async fn publish(
    request: HttpRequest,
    id: web::Path<String>,
    payload: Payload,
    state: web::Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    // Before the body is read: a controller without a lease needn't send any.
    let leases = state.narrator.leases();
    leases.check(&id, token(&request)).map_err(NarratorError::from)?;
    let body = body::read(payload, &state).await?;
    let events = ControllerEvents::parse(&body).map_err(invalid)?;
    let (narrator, id, token) = (state.narrator.clone(), id.into_inner(), token(&request).to_owned());
    let published = state.spawn_detached(async move { narrator.publish(&id, &token, events).await });
    Ok(HttpResponse::Ok().json(published.await??))
}

/// Returns the token of a request; empty if it has none.
fn token(request: &HttpRequest) -> &str {
    let header = request.headers().get(TOKEN_HEADER);
    header.and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn invalid(error: ProtocolError) -> ApiError {
    ApiError::new(ErrorCode::InvalidRequest, error.to_string())
}

fn to_wire(holder: LeaseHolder) -> Controller {
    Controller {
        registration_id: holder.registration_id,
        agent_id: holder.agent_id,
        workspace_id: holder.workspace_id,
        expires_at: holder.expires_at,
    }
}
