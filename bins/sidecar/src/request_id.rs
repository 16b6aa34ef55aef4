//! A name for every request: the caller's own or a new one in, the same in the answer and in whatever is logged on the way.
//!
//! Nothing else of a caller gets into the logs: neither a query nor a body.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::web;
use tracing::Instrument;

use crate::state::State;

/// The header, in requests and answers.
const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// Longest name that is taken over, in bytes: a UUID or a trace id with room to spare, and no page of text in a log.
const MAX_BYTES: usize = 64;

/// Names a request, and counts its answer.
///
/// # Errors
/// Only those of the service behind it.
pub async fn name(
    state: web::Data<State>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let id = given(request.headers()).unwrap_or_else(|| uuid::Uuid::now_v7().simple().to_string());
    let span = tracing::info_span!("request", id, method = %request.method(), path = request.path());
    let mut response = next.call(request).instrument(span.clone()).await?;
    let status = response.status();
    state.answers.count(status);
    span.in_scope(|| tracing::debug!(status = status.as_u16(), "answered"));
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(HEADER, id);
    }
    Ok(response)
}

/// The caller's own name, if it is one.
fn given(headers: &HeaderMap) -> Option<String> {
    let mut ids = headers.get_all(&HEADER);
    let (Some(id), None) = (ids.next(), ids.next()) else {
        return None;
    };
    let is_name = (1..=MAX_BYTES).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic);
    let id = id.to_str().ok()?;
    is_name.then(|| id.to_owned())
}
