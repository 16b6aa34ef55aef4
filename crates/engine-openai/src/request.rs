//! Converts a request to the body of `POST /v1/chat/completions`.

use engine::{EngineError, Request, ToolCall};
use serde::Serialize;
use serde_json::value::RawValue;
use upstream::{
    AnsweredCall, ChatMessage, Framing, OfferedTool, Wire, chat_messages, offered_tools, server_seed, to_json,
    to_pretty_json,
};

use crate::decoder::OpenAiDecoder;

/// OpenAI's wire format, configured for one model.
#[derive(Debug)]
pub(crate) struct OpenAiWire {
    pub(crate) model: String,
}

impl Wire for OpenAiWire {
    type Decoder = OpenAiDecoder;

    const PATH: &'static str = "/chat/completions";

    const FRAMING: Framing = Framing::Events;

    fn body(&self, request: &Request) -> Result<String, EngineError> {
        let options = &request.options;
        let body = Body {
            model: &self.model,
            messages: messages(request)?,
            tools: offered_tools(&request.tools)?,
            stream: true,
            stream_options: StreamOptions { include_usage: true },
            max_tokens: options.max_new_tokens,
            seed: server_seed(request.seed),
            temperature: options.temperature,
            top_p: options.top_p,
            top_k: Some(options.top_k).filter(|&top_k| top_k != 0),
            min_p: Some(options.min_p).filter(|&min_p| min_p > 0.0),
            repeat_penalty: Some(options.repeat_penalty).filter(|&penalty| (penalty - 1.0).abs() > 0.0),
            stop: &options.stop,
        };
        to_json(&body)
    }

    fn prompt(&self, request: &Request) -> Result<String, EngineError> {
        to_pretty_json(&messages(request)?)
    }

    fn decoder(&self) -> OpenAiDecoder {
        OpenAiDecoder::default()
    }
}

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    messages: Vec<ChatMessage<'a, FunctionCall<'a>>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<OfferedTool<'a>>,
    stream: bool,
    stream_options: StreamOptions,
    max_tokens: u32,
    seed: u32,
    temperature: f32,
    top_p: f32,
    /// This option and the next two are unknown to OpenAI's own service, which refuses them: sent only if they have an
    /// effect.
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    min_p: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    repeat_penalty: Option<f32>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    stop: &'a [String],
}

#[derive(Serialize)]
struct StreamOptions {
    include_usage: bool,
}

#[derive(Serialize)]
struct FunctionCall<'a> {
    id: &'a str,
    r#type: &'static str,
    function: Function<'a>,
}

#[derive(Serialize)]
struct Function<'a> {
    name: &'a str,
    /// A JSON object as text.
    arguments: &'a str,
}

fn messages(request: &Request) -> Result<Vec<ChatMessage<'_, FunctionCall<'_>>>, EngineError> {
    chat_messages(request, function_call, |call_id, _| AnsweredCall::ToolCallId(call_id))
}

/// Converts a call. Its arguments are sent as the text that they are, so the checked object isn't used.
fn function_call(call: &ToolCall, _: Box<RawValue>) -> FunctionCall<'_> {
    FunctionCall {
        id: &call.id,
        r#type: "function",
        function: Function {
            name: &call.name,
            arguments: &call.arguments,
        },
    }
}
