//! Classifies an unsuccessful HTTP status, and finds the message in an error's body.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, LOCATION, RETRY_AFTER};
use serde_json::Value;

/// Most bytes of a server's message in an error: a paragraph, not a page.
const MESSAGE_BYTES: usize = 2 << 10;

/// Why a server gives no answer, with the server's own reason.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// It may answer soon; `after` is its `Retry-After`.
    Busy { after: Option<Duration>, reason: String },
    /// It doesn't have the model.
    NotFound { reason: String },
    /// It refuses the request for its content.
    InvalidRequest { reason: String },
    /// It failed, or refuses all requests.
    Failed { reason: String },
}

impl Refusal {
    /// Classifies an unsuccessful response; `message` is the message in its body.
    pub(crate) fn of(status: StatusCode, headers: &HeaderMap, message: &str) -> Self {
        let reason = with_status(status, message);
        match status {
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => Self::Busy {
                after: retry_after(headers),
                reason,
            },
            StatusCode::NOT_FOUND => Self::NotFound { reason },
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Self::Failed {
                reason: format!("the API key was refused: {reason}"),
            },
            StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY => {
                Self::InvalidRequest { reason }
            }
            _ if status.is_redirection() => Self::Failed {
                reason: redirect(status, headers),
            },
            _ => Self::Failed { reason },
        }
    }
}

/// Returns at most 2 KiB of the message in an error's body: the `error`, `message` or `detail` of JSON that has one,
/// otherwise the whole body.
#[must_use]
pub fn error_message(body: &str) -> String {
    let body = body.trim();
    if body.starts_with('<') {
        return "an HTML page".to_owned();
    }
    let json: Option<Value> = serde_json::from_str(body).ok();
    let message = json.as_ref().and_then(message_field).unwrap_or(body);
    message[..message.floor_char_boundary(MESSAGE_BYTES)].to_owned()
}

/// Returns true if the field `error` of an answer reports an error: some servers always send the field, empty.
#[must_use]
pub fn reports_error(field: &Value) -> bool {
    match field {
        Value::Null => false,
        Value::Bool(flag) => *flag,
        Value::String(text) => !text.is_empty(),
        Value::Number(_) | Value::Array(_) | Value::Object(_) => true,
    }
}

/// Finds the message of the known servers: Ollama's `error`, OpenAI's `error.message`, FastAPI's `detail`.
fn message_field(json: &Value) -> Option<&str> {
    match json {
        Value::String(text) => Some(text),
        Value::Object(fields) => ["error", "message", "detail"]
            .iter()
            .find_map(|&name| fields.get(name).and_then(message_field)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => None,
    }
}

fn with_status(status: StatusCode, message: &str) -> String {
    if message.is_empty() {
        format!("status {status}")
    } else {
        format!("{message} (status {})", status.as_u16())
    }
}

fn redirect(status: StatusCode, headers: &HeaderMap) -> String {
    let location = headers.get(LOCATION).and_then(|value| value.to_str().ok());
    let to = location.unwrap_or("nowhere");
    format!(
        "it redirects to {to} (status {}), which isn't followed; name that address instead",
        status.as_u16()
    )
}

/// Returns `Retry-After` in seconds. A date is ignored, since the clocks of two computers differ by more than the wait.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}
