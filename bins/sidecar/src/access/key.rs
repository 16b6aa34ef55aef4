//! The key check and the rate limits: what a client presents in, admitted or refused out.

use std::hint::black_box;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use actix_web::http::header::{self, HeaderMap};
use protocol::ErrorCode;

use super::Access;
use crate::api_error::ApiError;

impl Access {
    /// Checks the key in the `Authorization` header.
    ///
    /// # Errors
    /// As [`Access::check_key`], when a key is set and the header is missing or has another key.
    pub fn check_header(&self, headers: &HeaderMap, client: IpAddr) -> Result<(), ApiError> {
        let presented = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        self.check_key(presented.and_then(bearer), client)
    }

    /// Checks a key that was presented in any other way.
    ///
    /// # Errors
    /// `unauthorised` when a key is set and this is not it, with the same text whatever was presented; `busy` when too
    /// many wrong keys came from that address, whether this one is wrong or right: otherwise the response would tell
    /// which it is.
    pub fn check_key(&self, presented: Option<&str>, client: IpAddr) -> Result<(), ApiError> {
        let Some(key) = &self.key else { return Ok(()) };
        let now = Instant::now();
        if let Some(failed_keys) = &self.failed_keys {
            failed_keys
                .check(client, now)
                .map_err(|wait| too_often("wrong keys", wait))?;
        }
        if presented.is_some_and(|presented| is_equal(key.expose().as_bytes(), presented.as_bytes())) {
            return Ok(());
        }
        if let (Some(failed_keys), Some(_)) = (&self.failed_keys, presented) {
            // One beyond the limit is refused the next time.
            let _counted = failed_keys.try_acquire(client, now);
        }
        Err(ApiError::new(ErrorCode::Unauthorised, "this sidecar needs its API key"))
    }

    /// Counts a socket or a turn that an address starts.
    ///
    /// # Errors
    /// `busy` when there were too many recently.
    pub fn count_start(&self, client: IpAddr) -> Result<(), ApiError> {
        let Some(starts) = &self.starts else { return Ok(()) };
        let counted = starts.try_acquire(client, Instant::now());
        counted.map_err(|wait| too_often("sockets and turns", wait))
    }
}

fn too_often(what: &str, wait: Duration) -> ApiError {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    let detail = format!("too many {what} from this address: try again in {seconds} s");
    ApiError {
        retry_after_s: Some(seconds),
        ..ApiError::new(ErrorCode::Busy, detail)
    }
}

/// Returns the token of `Bearer TOKEN`; the scheme's case doesn't matter.
fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Compares in a time that depends on the lengths alone.
fn is_equal(key: &[u8], presented: &[u8]) -> bool {
    let difference = key
        .iter()
        .zip(presented)
        .fold(0, |difference, (a, b)| black_box(difference | (a ^ b)));
    difference == 0 && key.len() == presented.len()
}
