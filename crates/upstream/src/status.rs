//! An HTTP status that isn't success: what it means for the answer, and what the server says about it.

use std::time::Duration;

use engine::EngineError;
use reqwest::header::{HeaderMap, LOCATION, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use serde_json::Value;

use crate::Server;

/// The most of a server's words that an error carries: a paragraph, not a page.
const WORDS_BYTES: usize = 2 << 10;

/// The most of an error's body that is read to find its words in.
const BODY_BYTES: usize = 64 << 10;

/// Why a server gives no answer.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// It may give one soon; `after` is when, if it says so.
    Busy {
        after: Option<Duration>,
        error: EngineError,
    },
    /// It won't.
    Final(EngineError),
}

/// Reads what a refusal means; `model` is the name that its error shows.
pub(crate) async fn refusal(server: &Server, model: &str, mut response: Response) -> Refusal {
    let status = response.status();
    let headers = response.headers().clone();
    let body = server.read_some(&mut response, BODY_BYTES).await;
    let words = server.censor(&words_of(&String::from_utf8_lossy(&body)));
    let said = said(status, &words);
    let name = server.name();
    if status == StatusCode::TOO_MANY_REQUESTS || status == StatusCode::SERVICE_UNAVAILABLE {
        let after = retry_after(&headers);
        let error = EngineError::UpstreamBusy {
            server: name.to_owned(),
            reason: said,
        };
        return Refusal::Busy { after, error };
    }
    Refusal::Final(if status.is_redirection() {
        server.failed(redirect(status, &headers))
    } else if status == StatusCode::NOT_FOUND {
        server.unavailable(model, format!("{name} says: {said}"))
    } else if status == StatusCode::UNAUTHORIZED || status == StatusCode::FORBIDDEN {
        server.failed(format!("the API key was refused: {said}"))
    } else if is_fault_of_the_request(status) {
        EngineError::InvalidRequest {
            reason: format!("{name} refuses the request: {said}"),
        }
    } else {
        server.failed(said)
    })
}

/// The message in an error's body, at most 2 KiB of it: of JSON with `error`, `message` or `detail` that text, else all.
#[must_use]
pub fn words_of(body: &str) -> String {
    let body = body.trim();
    if body.starts_with('<') {
        return "an HTML page".to_owned();
    }
    let json: Option<Value> = serde_json::from_str(body).ok();
    let words = json.as_ref().and_then(message).unwrap_or(body);
    words[..words.floor_char_boundary(WORDS_BYTES)].to_owned()
}

/// Whether the field `error` of an answer reports one: some servers always send it, empty.
#[must_use]
pub fn is_error(field: &Value) -> bool {
    match field {
        Value::Null => false,
        Value::Bool(flag) => *flag,
        Value::String(words) => !words.is_empty(),
        Value::Number(_) | Value::Array(_) | Value::Object(_) => true,
    }
}

/// Where the known servers put their words: Ollama in `error`, OpenAI's likes in `error.message`, FastAPI in `detail`.
fn message(json: &Value) -> Option<&str> {
    match json {
        Value::String(words) => Some(words),
        Value::Object(fields) => ["error", "message", "detail"]
            .iter()
            .find_map(|&name| fields.get(name).and_then(message)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => None,
    }
}

fn said(status: StatusCode, words: &str) -> String {
    if words.is_empty() {
        format!("status {status}")
    } else {
        format!("{words} (status {})", status.as_u16())
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

fn is_fault_of_the_request(status: StatusCode) -> bool {
    [
        StatusCode::BAD_REQUEST,
        StatusCode::PAYLOAD_TOO_LARGE,
        StatusCode::UNPROCESSABLE_ENTITY,
    ]
    .contains(&status)
}

/// `Retry-After` in seconds. As a date it isn't understood: the clocks of two machines differ by more than the wait.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}
