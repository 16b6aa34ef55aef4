//! Decodes the lines of an answer from `/api/chat`.

use engine::{FinishReason, ToolCall};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use upstream::{AnswerEnd, Chunk, Decoder, Measurements, UpstreamError, error_message, reports_error};

/// Decodes one answer.
#[derive(Debug, Default)]
pub(crate) struct OllamaDecoder {
    /// Number of calls so far, for the ids of calls to which the server gives none.
    calls: usize,
}

impl Decoder for OllamaDecoder {
    fn read(&mut self, piece: &str) -> Result<Vec<Chunk>, UpstreamError> {
        let line: Line = serde_json::from_str(piece).map_err(|source| UpstreamError::malformed(piece, source))?;
        if line.error.as_ref().is_some_and(reports_error) {
            return Err(UpstreamError::Reported {
                message: error_message(piece),
            });
        }
        let end = line.done.then(|| line.end()).transpose()?;
        let Some(message) = line.message else {
            // The end may have no message; a line with neither is of another protocol.
            let end = end.ok_or_else(|| {
                let source = serde::de::Error::missing_field("message");
                UpstreamError::malformed(piece, source)
            })?;
            return Ok(vec![Chunk::End(end)]);
        };
        let mut chunks = vec![
            Chunk::Reasoning(message.thinking.unwrap_or_default()),
            Chunk::Text(message.content.unwrap_or_default()),
        ];
        for call in message.tool_calls.unwrap_or_default() {
            chunks.push(Chunk::ToolCall(self.call(piece, call)?));
        }
        chunks.extend(end.map(Chunk::End));
        Ok(chunks)
    }

    /// Returns `None`: only `done` ends an answer.
    fn finish(&mut self) -> Result<Option<Vec<Chunk>>, UpstreamError> {
        Ok(None)
    }
}

impl OllamaDecoder {
    fn call(&mut self, piece: &str, call: FunctionCall) -> Result<ToolCall, UpstreamError> {
        self.calls += 1;
        let arguments = call.function.arguments;
        let arguments = arguments.as_deref().map_or("{}", RawValue::get);
        if !arguments.starts_with('{') {
            let source = serde::de::Error::custom(format!("the arguments of {:?} are no object", call.function.name));
            return Err(UpstreamError::malformed(piece, source));
        }
        Ok(ToolCall {
            id: call
                .id
                .filter(|id| !id.is_empty())
                .unwrap_or_else(|| format!("call_{}", self.calls)),
            name: call.function.name,
            arguments: arguments.to_owned(),
        })
    }
}

/// One line of an answer. All fields are optional, as servers that only imitate Ollama leave many out.
#[derive(Deserialize)]
struct Line {
    message: Option<Message>,
    error: Option<Value>,
    #[serde(default)]
    done: bool,
    done_reason: Option<String>,
    load_duration: Option<f64>,
    prompt_eval_count: Option<u64>,
    prompt_eval_duration: Option<f64>,
    eval_count: Option<u64>,
    eval_duration: Option<f64>,
}

#[derive(Deserialize)]
struct Message {
    content: Option<String>,
    thinking: Option<String>,
    tool_calls: Option<Vec<FunctionCall>>,
}

#[derive(Deserialize)]
struct FunctionCall {
    id: Option<String>,
    function: Function,
}

#[derive(Deserialize)]
struct Function {
    name: String,
    arguments: Option<Box<RawValue>>,
}

impl Line {
    fn end(&self) -> Result<AnswerEnd, UpstreamError> {
        let reason = match self.done_reason.as_deref() {
            Some("length") => FinishReason::Length,
            Some("error") => {
                let message = "it ended the answer with an error that it doesn't name".to_owned();
                return Err(UpstreamError::Reported { message });
            }
            // Old servers send no reason; `load` and `unload` end an answer without text.
            Some(_) | None => FinishReason::Stop,
        };
        Ok(AnswerEnd {
            reason,
            measurements: Measurements {
                prompt_tokens: self.prompt_eval_count,
                cached_tokens: None,
                completion_tokens: self.eval_count,
                queue_ms: measured(self.load_duration),
                prefill_ms: measured(self.prompt_eval_duration),
                decode_ms: measured(self.eval_duration),
            },
        })
    }
}

/// Converts nanoseconds to milliseconds. Some servers send 0 for a duration that they don't measure.
fn measured(nanoseconds: Option<f64>) -> Option<f64> {
    let measured = nanoseconds.filter(|&nanoseconds| nanoseconds > 0.0);
    measured.map(|nanoseconds| nanoseconds / 1e6)
}
