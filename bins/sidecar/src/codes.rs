//! The numbers of error codes: a code in, its HTTP status or its WebSocket close code out.
//!
//! Which code an error has is decided where it may also be logged: [`ChatError::code`](chat::ChatError::code) for
//! agents, conversations and engines, [`NarratorError::code`](relay::NarratorError::code) for the narrator.

use actix_web::http::StatusCode;
use protocol::ErrorCode;

/// Returns the HTTP status of an error code.
#[must_use]
pub fn http_status(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::InvalidRequest => StatusCode::BAD_REQUEST,
        ErrorCode::Unauthorised => StatusCode::UNAUTHORIZED,
        ErrorCode::Forbidden => StatusCode::FORBIDDEN,
        ErrorCode::AgentNotFound | ErrorCode::ConversationNotFound => StatusCode::NOT_FOUND,
        ErrorCode::Gone => StatusCode::GONE,
        ErrorCode::DuplicateTurn | ErrorCode::ControllerNotRegistered => StatusCode::CONFLICT,
        ErrorCode::Conflict => StatusCode::PRECONDITION_FAILED,
        ErrorCode::ContextTooLarge | ErrorCode::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorCode::Busy => StatusCode::TOO_MANY_REQUESTS,
        ErrorCode::Draining | ErrorCode::ModelUnavailable | ErrorCode::Interrupted | ErrorCode::SlowReader => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        ErrorCode::UpstreamFailed | ErrorCode::RelayFailed => StatusCode::BAD_GATEWAY,
        ErrorCode::UpstreamTimeout | ErrorCode::RelayTimeout => StatusCode::GATEWAY_TIMEOUT,
        ErrorCode::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// Returns the code that a socket is closed with for an error; errors that don't close a socket by themselves count as
/// internal.
pub fn close_code(code: ErrorCode) -> u16 {
    /// As [`ErrorCode::Internal`].
    const INTERNAL: u16 = 4500;
    code.close_code().unwrap_or(INTERNAL)
}
