//! Who may enter, and how often: what a client shows in, admitted or not out.

use std::hint::black_box;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use actix_web::http::header::{self, HeaderMap};
use protocol::{ApiKey, ErrorCode};

use super::rate::Rate;
use crate::status::ApiError;

/// Who may enter.
#[derive(Debug)]
pub struct Access {
    /// The sidecar listens on loopback addresses only.
    pub on_loopback: bool,
    /// The key, if one is set.
    pub key: Option<ApiKey>,
    /// Origins of pages beside those of this machine.
    pub origins: Vec<String>,
    /// How often an address may begin something: a socket, a turn.
    pub uses: Option<Rate>,
    /// How often an address may show a wrong key.
    pub faults: Option<Rate>,
}

impl Access {
    /// Checks the `Authorization` header.
    ///
    /// # Errors
    /// As [`Access::check_key`], when a key is set and the header is missing or shows another.
    pub fn check_header(&self, headers: &HeaderMap, client: IpAddr) -> Result<(), ApiError> {
        let shown = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        self.check_key(shown.and_then(bearer), client)
    }

    /// Checks a key that was shown in any other way.
    ///
    /// # Errors
    /// `unauthorised` when a key is set and this is not it, in the same words whatever was shown; `busy` when too many wrong ones came
    /// from that address, be this one wrong or right: else an answer would tell which it is.
    pub fn check_key(&self, shown: Option<&str>, client: IpAddr) -> Result<(), ApiError> {
        let Some(key) = &self.key else { return Ok(()) };
        let now = Instant::now();
        if let Some(faults) = &self.faults {
            faults
                .check(client, now)
                .map_err(|wait| too_often("wrong keys", wait))?;
        }
        if shown.is_some_and(|shown| is_equal(key.expose().as_bytes(), shown.as_bytes())) {
            return Ok(());
        }
        if let (Some(faults), Some(_)) = (&self.faults, shown) {
            // One more than allowed is refused the next time.
            let _counted = faults.take(client, now);
        }
        Err(ApiError::new(ErrorCode::Unauthorised, "this sidecar needs its API key"))
    }

    /// Counts a socket or a turn that an address begins.
    ///
    /// # Errors
    /// `busy` when there were too many of late.
    pub fn count_use(&self, client: IpAddr) -> Result<(), ApiError> {
        let Some(uses) = &self.uses else { return Ok(()) };
        let counted = uses.take(client, Instant::now());
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

/// The token of `Bearer TOKEN`; the scheme's case doesn't matter.
fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Compares in a time that depends on the lengths alone.
fn is_equal(key: &[u8], shown: &[u8]) -> bool {
    let difference = key
        .iter()
        .zip(shown)
        .fold(0, |difference, (a, b)| black_box(difference | (a ^ b)));
    difference == 0 && key.len() == shown.len()
}
