//! The API key: what a client shows in, admitted or not out.

use std::hint::black_box;

use actix_web::http::header::{self, HeaderMap};
use protocol::{ApiKey, ErrorCode};

use crate::status::ApiError;

/// Who may enter.
#[derive(Debug, Clone)]
pub struct Access {
    /// The sidecar listens on loopback addresses only.
    pub on_loopback: bool,
    /// The key, if one is set.
    pub key: Option<ApiKey>,
}

impl Access {
    /// Checks the `Authorization` header.
    ///
    /// # Errors
    /// `unauthorised` when a key is set and the header is missing or shows another.
    pub fn check_header(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        let shown = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        self.check_key(shown.and_then(bearer))
    }

    /// Checks a key that was shown in any other way.
    ///
    /// # Errors
    /// `unauthorised` when a key is set and this is not it.
    pub fn check_key(&self, shown: Option<&str>) -> Result<(), ApiError> {
        match (&self.key, shown) {
            (None, _) => Ok(()),
            (Some(key), Some(shown)) if is_equal(key.expose().as_bytes(), shown.as_bytes()) => Ok(()),
            (Some(_), Some(_)) => Err(ApiError::new(ErrorCode::Unauthorised, "the API key is wrong")),
            (Some(_), None) => Err(ApiError::new(ErrorCode::Unauthorised, "this sidecar needs its API key")),
        }
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
