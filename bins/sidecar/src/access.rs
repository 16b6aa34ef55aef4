//! Access control: what a request tells of its sender in, admitted or refused out.
//!
//! On a loopback address the `Host` must be a loopback name, so that a web page can't reach the sidecar through a name
//! of its own (DNS rebinding). A browser's `Origin` must be a loopback name on any port, or one of the configured
//! origins. With a key set, every route but the health checks requires `Authorization: Bearer`; a socket may send the
//! key in its first frame instead, as a browser can't set headers there. An address that presents wrong keys, or starts
//! sockets and turns, too often gets an error that says how long to wait. The address is that of the connection, since
//! a forwarding header could claim anything. Which routes are checked is decided by the middleware, `http_guard`.

mod key;
mod origin;
mod rate;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv4Addr};

use actix_web::HttpRequest;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use protocol::{ApiKey, ErrorCode};

pub use origin::parse_origins;
pub use rate::RateLimiter;

use crate::api_error::ApiError;
use origin::{is_local_origin, is_loopback_authority};

/// The rules by which requests are admitted.
#[derive(Debug)]
pub struct Access {
    /// True if the sidecar listens on loopback addresses only.
    pub on_loopback: bool,
    /// The key, if one is set.
    pub key: Option<ApiKey>,
    /// Origins of pages that are admitted beside those of this machine.
    pub origins: Vec<String>,
    /// How often one address may start something: a socket or a turn. `None` is no limit.
    pub starts: Option<RateLimiter>,
    /// How often one address may present a wrong key. `None` is no limit.
    pub failed_keys: Option<RateLimiter>,
}

impl Access {
    /// Checks host and origin; returns the origin that the response must name.
    ///
    /// # Errors
    /// `forbidden`, with the host or origin that is not allowed.
    pub fn check_sender(&self, headers: &HeaderMap) -> Result<Option<HeaderValue>, ApiError> {
        if self.on_loopback {
            check_host(headers)?;
        }
        self.check_origin(headers)
    }

    fn check_origin(&self, headers: &HeaderMap) -> Result<Option<HeaderValue>, ApiError> {
        let mut origins = headers.get_all(header::ORIGIN);
        let Some(origin) = origins.next() else { return Ok(None) };
        let is_allowed = |origin: &str| is_local_origin(origin) || self.origins.iter().any(|allowed| allowed == origin);
        if origins.next().is_none() && origin.to_str().is_ok_and(is_allowed) {
            return Ok(Some(origin.clone()));
        }
        Err(forbidden(format!(
            "origin {:?} is not allowed",
            String::from_utf8_lossy(origin.as_bytes())
        )))
    }
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

fn forbidden(detail: String) -> ApiError {
    ApiError::new(ErrorCode::Forbidden, detail)
}

/// Returns the address that a request came from.
pub fn client_ip(request: &HttpRequest) -> IpAddr {
    // Only requests without a connection, as in tests, have no peer address.
    request
        .peer_addr()
        .map_or(Ipv4Addr::UNSPECIFIED.into(), |peer| peer.ip())
}
