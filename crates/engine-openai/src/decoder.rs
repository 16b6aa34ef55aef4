//! Decodes the events of an answer from `/v1/chat/completions`.

mod tool_calls;

use engine::FinishReason;
use serde::Deserialize;
use serde_json::Value;
use upstream::{AnswerEnd, Chunk, Decoder, Measurements, UpstreamError, error_message, reports_error};

use self::tool_calls::{CallPart, ToolCalls};

/// The data of the last event, which is not JSON.
const DONE: &str = "[DONE]";

/// Decodes one answer. The counts follow the finish reason, so the end is returned when the stream closes.
#[derive(Debug, Default)]
pub(crate) struct OpenAiDecoder {
    calls: ToolCalls,
    finish_reason: Option<String>,
    measurements: Measurements,
}

impl Decoder for OpenAiDecoder {
    fn read(&mut self, piece: &str) -> Result<Vec<Chunk>, UpstreamError> {
        if piece.trim_start().starts_with(DONE) {
            return self.finish()?.ok_or(UpstreamError::Unfinished);
        }
        let event: Event = serde_json::from_str(piece).map_err(|source| UpstreamError::malformed(piece, source))?;
        if event.error.as_ref().is_some_and(reports_error) {
            return Err(UpstreamError::Reported {
                message: error_message(piece),
            });
        }
        let Some(choices) = event.choices else {
            let source = serde::de::Error::missing_field("choices");
            return Err(UpstreamError::malformed(piece, source));
        };
        if let Some(usage) = &event.usage {
            usage.add_to(&mut self.measurements);
        }
        if let Some(timings) = &event.timings {
            timings.add_to(&mut self.measurements);
        }
        // One answer is requested, which is the first choice.
        let choice = choices.into_iter().find(|choice| choice.index.unwrap_or(0) == 0);
        Ok(choice.map(|choice| self.choice(choice)).unwrap_or_default())
    }

    fn finish(&mut self) -> Result<Option<Vec<Chunk>>, UpstreamError> {
        let Some(finish_reason) = self.finish_reason.take() else {
            return Ok(None);
        };
        let reason = match finish_reason.as_str() {
            "length" => FinishReason::Length,
            "content_filter" => return Err(reported("its content filter cut the answer off")),
            "error" | "abort" => return Err(reported("it ended the answer with an error that it doesn't name")),
            // `stop`, `tool_calls`, and other servers' names for the model's own end.
            _ => FinishReason::Stop,
        };
        let calls = std::mem::take(&mut self.calls).into_complete(reason)?;
        let mut chunks: Vec<_> = calls.into_iter().map(Chunk::ToolCall).collect();
        chunks.push(Chunk::End(AnswerEnd {
            reason,
            measurements: self.measurements,
        }));
        Ok(Some(chunks))
    }
}

impl OpenAiDecoder {
    fn choice(&mut self, choice: Choice) -> Vec<Chunk> {
        let Choice {
            delta, finish_reason, ..
        } = choice;
        if finish_reason.is_some() {
            self.finish_reason = finish_reason;
        }
        let delta = delta.unwrap_or_default();
        for part in delta.tool_calls.unwrap_or_default() {
            self.calls.add(part);
        }
        vec![
            Chunk::Reasoning(delta.reasoning_content.or(delta.reasoning).unwrap_or_default()),
            Chunk::Text(delta.content.unwrap_or_default()),
        ]
    }
}

fn reported(message: &str) -> UpstreamError {
    UpstreamError::Reported {
        message: message.to_owned(),
    }
}

#[derive(Deserialize)]
struct Event {
    choices: Option<Vec<Choice>>,
    error: Option<Value>,
    usage: Option<Usage>,
    timings: Option<Timings>,
}

#[derive(Deserialize)]
struct Choice {
    index: Option<u64>,
    delta: Option<Delta>,
    finish_reason: Option<String>,
}

#[derive(Default, Deserialize)]
struct Delta {
    content: Option<String>,
    /// The reasoning of llama.cpp, DeepSeek and older versions of vLLM.
    reasoning_content: Option<String>,
    /// The reasoning of vLLM and OpenRouter.
    reasoning: Option<String>,
    tool_calls: Option<Vec<CallPart>>,
}

#[derive(Deserialize)]
struct Usage {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    prompt_tokens_details: Option<PromptTokens>,
}

#[derive(Deserialize)]
struct PromptTokens {
    cached_tokens: Option<u64>,
}

impl Usage {
    /// Adds the counts. The server's `prompt_tokens` includes cached tokens, ours doesn't.
    fn add_to(&self, measurements: &mut Measurements) {
        let cached = self
            .prompt_tokens_details
            .as_ref()
            .and_then(|details| details.cached_tokens);
        let new = self.prompt_tokens.map(|all| all.saturating_sub(cached.unwrap_or(0)));
        measurements.cached_tokens = cached.or(measurements.cached_tokens);
        measurements.prompt_tokens = new.or(measurements.prompt_tokens);
        measurements.completion_tokens = self.completion_tokens.or(measurements.completion_tokens);
    }
}

/// Times that llama-server measures, in milliseconds.
#[derive(Deserialize)]
struct Timings {
    prompt_ms: Option<f64>,
    predicted_ms: Option<f64>,
}

impl Timings {
    fn add_to(&self, measurements: &mut Measurements) {
        measurements.prefill_ms = self.prompt_ms.or(measurements.prefill_ms);
        measurements.decode_ms = self.predicted_ms.or(measurements.decode_ms);
    }
}
