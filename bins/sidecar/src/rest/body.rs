//! Parts of a request that handlers read: a bounded body, a checked query.

use std::collections::HashMap;

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use actix_web::web::{Bytes, Payload, Query};
use protocol::ErrorCode;
use tokio::time::error::Elapsed;
use tokio::time::timeout;

use crate::api_error::ApiError;
use crate::state::AppState;

/// Reads a body, within the configured size and time.
pub(super) async fn read(payload: Payload, state: &AppState) -> Result<Bytes, ApiError> {
    let limit = usize::try_from(state.limits.body_bytes).unwrap_or(usize::MAX);
    let too_large = |_| ApiError::new(ErrorCode::TooLarge, format!("the body is larger than {limit} bytes"));
    let body = timeout(state.http.body, payload.to_bytes_limited(limit)).await;
    let body = body.map_err(timed_out)?.map_err(too_large)?;
    body.map_err(|error| ApiError::new(ErrorCode::InvalidRequest, format!("cannot read the body: {error}")))
}

/// Converts the timeout of a body, or of its next chunk.
pub(super) fn timed_out(_: Elapsed) -> ApiError {
    ApiError {
        status: StatusCode::REQUEST_TIMEOUT,
        ..ApiError::new(ErrorCode::InvalidRequest, "the body took too long")
    }
}

/// Parses the query: the last value of each key, unknown keys included.
pub(super) fn query(request: &HttpRequest) -> Result<QueryParams, ApiError> {
    let keys = Query::<HashMap<String, String>>::from_query(request.query_string());
    let refused = |_| ApiError::new(ErrorCode::InvalidRequest, "the query is not key=value pairs");
    Ok(QueryParams(keys.map_err(refused)?.into_inner()))
}

/// The parameters of a query.
pub(super) struct QueryParams(HashMap<String, String>);

impl QueryParams {
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    pub(super) fn required(&self, key: &str) -> Result<&str, ApiError> {
        let missing = || {
            ApiError::new(
                ErrorCode::InvalidRequest,
                format!("key {key:?} is missing in the query"),
            )
        };
        self.text(key).ok_or_else(missing)
    }

    pub(super) fn number(&self, key: &str) -> Result<Option<u64>, ApiError> {
        let Some(text) = self.text(key) else { return Ok(None) };
        let wrong = |_| {
            ApiError::new(
                ErrorCode::InvalidRequest,
                format!("{key}={text} must be a whole number, 0 or more"),
            )
        };
        text.parse().map(Some).map_err(wrong)
    }
}
