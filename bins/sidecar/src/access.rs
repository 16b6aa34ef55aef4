//! Access control: every request passes here first, WebSocket upgrades included.
//!
//! On a loopback address the `Host` must be a loopback name, so that a web page can't reach the sidecar through a name
//! of its own (DNS rebinding). A browser's `Origin` must be a loopback name on any port, or one of the configured
//! origins, and gets its CORS headers. With a key set, every route but the health checks requires `Authorization:
//! Bearer`; a socket may send the key in its first frame instead, as a browser can't set headers there. An address that
//! presents wrong keys, or starts sockets and turns, too often is told how long to wait. The address is that of the
//! connection, since a forwarding header could claim anything. Nothing here reads a body.

mod key;
mod origin;
mod rate;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv4Addr};

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{HttpRequest, HttpResponse, web};
use protocol::ErrorCode;

pub use key::Access;
pub use origin::parse_origins;
pub use rate::RateLimiter;

use crate::state::AppState;
use crate::status::ApiError;
use origin::{is_local_origin, is_loopback_authority};

/// Seconds for which a browser may cache a preflight's response: an hour spares most of them, and settings rarely
/// change.
const PREFLIGHT_MAX_AGE_S: &str = "3600";

/// The socket's route, which checks its key itself.
pub const SOCKET_PATH: &str = "/ws/chat";

/// The routes that need no key: a supervisor polls them.
const PUBLIC_PATHS: [&str; 3] = ["/healthz", "/health", "/readyz"];

/// Lets a request through, answers a preflight, or refuses.
///
/// # Errors
/// Only those of the inner service.
pub async fn guard(
    state: web::Data<AppState>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let origin = match check_sender(&state.access, request.headers()) {
        Ok(origin) => origin,
        Err(error) => return Ok(request.into_response(error.response()).map_into_right_body()),
    };
    let refused = check_key(&state.access, &request).err();
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

/// Checks host and origin; returns the origin that the response must name.
fn check_sender(access: &Access, headers: &HeaderMap) -> Result<Option<HeaderValue>, ApiError> {
    if access.on_loopback {
        check_host(headers)?;
    }
    check_origin(access, headers)
}

/// Returns the address that a request came from.
pub fn client_ip(request: &HttpRequest) -> IpAddr {
    // Only requests without a connection, as in tests, have no peer address.
    request
        .peer_addr()
        .map_or(Ipv4Addr::UNSPECIFIED.into(), |peer| peer.ip())
}

/// Checks the key where the route requires one.
fn check_key(access: &Access, request: &ServiceRequest) -> Result<(), ApiError> {
    let path = request.path();
    let sends_key_later = path == SOCKET_PATH && !request.headers().contains_key(header::AUTHORIZATION);
    if PUBLIC_PATHS.contains(&path) || is_preflight(request) || sends_key_later {
        return Ok(());
    }
    access.check_header(request.headers(), client_ip(request.request()))
}

fn check_host(headers: &HeaderMap) -> Result<(), ApiError> {
    let mut hosts = headers.get_all(header::HOST);
    let host = hosts.next().and_then(|host| host.to_str().ok());
    match (host, hosts.next()) {
        (Some(host), None) if is_loopback_authority(host) => Ok(()),
        (host, _) => Err(forbidden(format!(
            "host {:?} is not a name of this machine",
            host.unwrap_or_default()
        ))),
    }
}

fn check_origin(access: &Access, headers: &HeaderMap) -> Result<Option<HeaderValue>, ApiError> {
    let mut origins = headers.get_all(header::ORIGIN);
    let Some(origin) = origins.next() else { return Ok(None) };
    let is_allowed = |origin: &str| is_local_origin(origin) || access.origins.iter().any(|allowed| allowed == origin);
    if origins.next().is_none() && origin.to_str().is_ok_and(is_allowed) {
        return Ok(Some(origin.clone()));
    }
    Err(forbidden(format!(
        "origin {:?} is not allowed",
        String::from_utf8_lossy(origin.as_bytes())
    )))
}

fn forbidden(detail: String) -> ApiError {
    ApiError::new(ErrorCode::Forbidden, detail)
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
