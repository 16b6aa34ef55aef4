//! The middleware in front of every route: a request in, the route's response or a refusal out.
//!
//! Asks [`Access`] about host, origin and key, answers preflights, and adds the CORS headers. Nothing here reads a
//! body.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{HttpResponse, web};
use protocol::OperationId;

use crate::access::{Access, client_ip};
use crate::api_error::ApiError;

/// Seconds for which a browser may cache a preflight's response: an hour spares most of them, and settings rarely
/// change.
const PREFLIGHT_MAX_AGE_S: &str = "3600";

/// The socket's route, which checks its key itself.
const SOCKET_PATH: &str = OperationId::OpenSocket.path();

/// Lets a request through, answers a preflight, or refuses.
///
/// # Errors
/// Only those of the inner service.
pub async fn guard(
    access: web::Data<Access>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let origin = match access.check_sender(request.headers()) {
        Ok(origin) => origin,
        Err(error) => return Ok(request.into_response(error.response()).map_into_right_body()),
    };
    let refused = check_key(&access, &request).err();
    let mut response = if let Some(error) = refused {
        request.into_response(error.response()).map_into_right_body()
    } else if origin.is_some() && is_preflight(&request) {
        request.into_response(preflight()).map_into_right_body()
    } else {
        next.call(request).await?.map_into_left_body()
    };
    // Also on a refused key: a page of this machine may read the reason.
    allow_origin(response.headers_mut(), origin);
    Ok(response)
}

/// Checks the key where the route requires one.
fn check_key(access: &Access, request: &ServiceRequest) -> Result<(), ApiError> {
    let path = request.path();
    let sends_key_later = path == SOCKET_PATH && !request.headers().contains_key(header::AUTHORIZATION);
    let needs_no_key = OperationId::WITHOUT_KEY
        .iter()
        .any(|operation| operation.path() == path);
    if needs_no_key || is_preflight(request) || sends_key_later {
        return Ok(());
    }
    access.check_header(request.headers(), client_ip(request.request()))
}

fn is_preflight(request: &ServiceRequest) -> bool {
    request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ORIGIN)
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

fn preflight() -> HttpResponse {
    HttpResponse::build(StatusCode::NO_CONTENT)
        .insert_header((header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, PUT, DELETE"))
        .insert_header((
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            "authorization, content-type, if-match, prefer, x-controller-token",
        ))
        .insert_header((header::ACCESS_CONTROL_MAX_AGE, PREFLIGHT_MAX_AGE_S))
        .finish()
}

fn allow_origin(headers: &mut HeaderMap, origin: Option<HeaderValue>) {
    // The response depends on the origin, even when there is none: caches must keep the variants apart.
    headers.append(header::VARY, HeaderValue::from_static("origin"));
    if let Some(origin) = origin {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(
            header::ACCESS_CONTROL_EXPOSE_HEADERS,
            HeaderValue::from_static("etag, location, retry-after, x-request-id"),
        );
    }
}
