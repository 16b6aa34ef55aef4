//! Maps an unsuccessful HTTP status, and the message in its body, to an error.

use std::time::Duration;

use engine::EngineError;
use reqwest::header::{HeaderMap, LOCATION, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use serde_json::Value;

use crate::Server;

/// Most bytes of a server's message in an error: a paragraph, not a page.
const MESSAGE_BYTES: usize = 2 << 10;

/// Most bytes of an error's body that are read to find its message.
const BODY_BYTES: usize = 64 << 10;

/// Why a server gives no answer.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// It may answer soon; `after` is the server's own `Retry-After`.
    Busy {
        after: Option<Duration>,
        error: EngineError,
    },
    /// A retry would fail too.
    Final(EngineError),
}

/// Maps an unsuccessful response to its meaning; errors name the model as `model`.
pub(crate) async fn refusal(server: &Server, model: &str, mut response: Response) -> Refusal {
    let status = response.status();
    let headers = response.headers().clone();
    let body = server.read_at_most(&mut response, BODY_BYTES).await;
    let message = server.redact(&error_message(&String::from_utf8_lossy(&body)));
    let reason = with_status(status, &message);
    let name = server.name();
    if status == StatusCode::TOO_MANY_REQUESTS || status == StatusCode::SERVICE_UNAVAILABLE {
        let after = retry_after(&headers);
        let error = EngineError::UpstreamBusy {
            server: name.to_owned(),
            reason,
        };
        return Refusal::Busy { after, error };
    }
    Refusal::Final(if status.is_redirection() {
        server.failed(redirect(status, &headers))
    } else if status == StatusCode::NOT_FOUND {
        server.unavailable(model, format!("{name} says: {reason}"))
    } else if status == StatusCode::UNAUTHORIZED || status == StatusCode::FORBIDDEN {
        server.failed(format!("the API key was refused: {reason}"))
    } else if is_client_error(status) {
        EngineError::InvalidRequest {
            reason: format!("{name} refuses the request: {reason}"),
        }
    } else {
        server.failed(reason)
    })
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

fn is_client_error(status: StatusCode) -> bool {
    [
        StatusCode::BAD_REQUEST,
        StatusCode::PAYLOAD_TOO_LARGE,
        StatusCode::UNPROCESSABLE_ENTITY,
    ]
    .contains(&status)
}

/// Returns `Retry-After` in seconds. A date is ignored, since the clocks of two computers differ by more than the wait.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}
