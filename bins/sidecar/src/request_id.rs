//! Assigns an id to every request: the caller's own or a new one in, the same in the response and in all log lines on
//! the way.
//!
//! Nothing else of a request gets into the logs: neither a query nor a body.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::web;
use tracing::Instrument;

use crate::state::AppState;

/// The header, in requests and responses.
const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// Longest id that is taken from a caller, in bytes: a UUID or a trace id with room to spare, and no page of text in a
/// log.
const MAX_BYTES: usize = 64;

/// Assigns the request's id, and counts its response.
///
/// # Errors
/// Only those of the inner service.
pub async fn assign(
    state: web::Data<AppState>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let id = from_caller(request.headers()).unwrap_or_else(|| uuid::Uuid::now_v7().simple().to_string());
    let span = tracing::info_span!("request", id, method = %request.method(), path = request.path());
    let mut response = next.call(request).instrument(span.clone()).await?;
    let status = response.status();
    state.server_metrics.count_answer(status);
    span.in_scope(|| tracing::debug!(status = status.as_u16(), "answered"));
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(HEADER, id);
    }
    Ok(response)
}

/// Returns the caller's own id, if it is a valid one.
fn from_caller(headers: &HeaderMap) -> Option<String> {
    let mut ids = headers.get_all(&HEADER);
    let (Some(id), None) = (ids.next(), ids.next()) else {
        return None;
    };
    let is_valid = (1..=MAX_BYTES).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic);
    let id = id.to_str().ok()?;
    is_valid.then(|| id.to_owned())
}
