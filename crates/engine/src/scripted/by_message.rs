//! Chooses a script by the text of a message, by the convention of `fixtures/protocol/README.md`.
//!
//! A server in another language can be tested with the same exchanges if its model follows this convention.

use super::{Script, words};
use crate::{EngineError, ToolCall};

/// Returns the script that a message names; [`Script::Echo`] if it names none.
pub(super) fn script(message: &str) -> Script {
    let command = message.strip_prefix('/').and_then(|rest| rest.split_once(' '));
    let Some((name, rest)) = command else {
        return Script::Echo;
    };
    let (first, after) = rest.split_once(' ').unwrap_or((rest, ""));
    match name {
        "hold" => Script::Holds(words(rest)),
        "fail" => Script::Fails(words(after), error(first)),
        "think" => Script::Thinks(first.to_owned(), words(after)),
        "evict" => Script::Evicts(first.parse().unwrap_or(1), words(after)),
        "tool" => Script::Calls(Vec::new(), vec![call(first, after)]),
        _ => Script::Echo,
    }
}

fn call(name: &str, arguments: &str) -> ToolCall {
    ToolCall {
        id: "scripted".to_owned(),
        name: name.to_owned(),
        arguments: arguments.to_owned(),
    }
}

/// Returns the error that has this code on the wire; an internal one for an unknown code.
fn error(code: &str) -> EngineError {
    let server = "the scripted model".to_owned();
    let reason = "the message asked for it".to_owned();
    match code {
        "invalid_request" => EngineError::InvalidRequest { reason },
        "context_too_large" => EngineError::ContextTooLarge {
            part: "the message",
            needed_tokens: 2,
            limit_tokens: 1,
        },
        "busy" => EngineError::UpstreamBusy { server, reason },
        "model_unavailable" => EngineError::ModelUnavailable { model: server, reason },
        "upstream_failed" => EngineError::UpstreamFailed { server, reason },
        "upstream_timeout" => EngineError::UpstreamTimeout { server, reason },
        _ => EngineError::Internal { reason },
    }
}
