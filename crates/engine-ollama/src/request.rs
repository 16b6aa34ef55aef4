//! Converts a request to the body of `POST /api/chat`.

use engine::{EngineError, Options, Request, ToolCall};
use serde::Serialize;
use serde_json::value::RawValue;
use upstream::{
    AnsweredCall, ChatMessage, Framing, OfferedTool, Wire, chat_messages, offered_tools, server_seed, to_json,
    to_pretty_json,
};

use crate::decoder::OllamaDecoder;

/// Ollama's wire format, configured for one model.
#[derive(Debug)]
pub(crate) struct OllamaWire {
    pub(crate) model: String,
    pub(crate) context_tokens: u64,
}

impl Wire for OllamaWire {
    type Decoder = OllamaDecoder;

    const PATH: &'static str = "/api/chat";

    const FRAMING: Framing = Framing::Lines;

    fn body(&self, request: &Request) -> Result<String, EngineError> {
        let body = Body {
            model: &self.model,
            messages: messages(request)?,
            tools: offered_tools(&request.tools)?,
            stream: true,
            options: self.options(&request.options, request.seed),
        };
        to_json(&body)
    }

    fn prompt(&self, request: &Request) -> Result<String, EngineError> {
        to_pretty_json(&messages(request)?)
    }

    fn decoder(&self) -> OllamaDecoder {
        OllamaDecoder::default()
    }
}

impl OllamaWire {
    /// Converts all options, since the defaults of options that aren't sent differ from model to model.
    fn options<'a>(&self, options: &'a Options, seed: u64) -> Sampling<'a> {
        Sampling {
            num_ctx: self.context_tokens,
            num_predict: options.max_new_tokens,
            seed: server_seed(seed),
            temperature: options.temperature,
            top_k: options.top_k,
            top_p: options.top_p,
            min_p: options.min_p,
            repeat_penalty: options.repeat_penalty,
            stop: &options.stop,
        }
    }
}

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    messages: Vec<ChatMessage<'a, FunctionCall<'a>>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<OfferedTool<'a>>,
    stream: bool,
    options: Sampling<'a>,
}

#[derive(Serialize)]
struct Sampling<'a> {
    num_ctx: u64,
    num_predict: u32,
    seed: u32,
    temperature: f32,
    top_k: u32,
    top_p: f32,
    min_p: f32,
    repeat_penalty: f32,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    stop: &'a [String],
}

#[derive(Serialize)]
struct FunctionCall<'a> {
    function: Function<'a>,
}

#[derive(Serialize)]
struct Function<'a> {
    name: &'a str,
    arguments: Box<RawValue>,
}

fn messages(request: &Request) -> Result<Vec<ChatMessage<'_, FunctionCall<'_>>>, EngineError> {
    chat_messages(request, function_call, |_, name| AnsweredCall::ToolName(name))
}

fn function_call(call: &ToolCall, arguments: Box<RawValue>) -> FunctionCall<'_> {
    let name = &call.name;
    FunctionCall {
        function: Function { name, arguments },
    }
}
