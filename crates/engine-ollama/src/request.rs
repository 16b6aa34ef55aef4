//! Converts a request to the body of `POST /api/chat`.

use engine::{EngineError, Message, Options, Request, Role};
use serde::Serialize;
use serde_json::value::RawValue;
use upstream::{Framing, OfferedTool, Wire, json_object, offered_tools, server_seed, to_json, to_pretty_json};

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
    messages: Vec<ChatMessage<'a>>,
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
struct ChatMessage<'a> {
    role: &'static str,
    content: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<FunctionCall<'a>>,
    /// The tool of an output, which the server assigns to its call by this name and by the order.
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_name: Option<&'a str>,
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

fn messages(request: &Request) -> Result<Vec<ChatMessage<'_>>, EngineError> {
    let system = request.system.as_deref().map(|text| Ok(text_message("system", text)));
    system
        .into_iter()
        .chain(request.messages.iter().map(chat_message))
        .collect()
}

fn chat_message(message: &Message) -> Result<ChatMessage<'_>, EngineError> {
    match &message.role {
        Role::User => Ok(text_message("user", &message.text)),
        Role::Assistant { calls } => {
            let tool_calls = calls.iter().map(|call| {
                let what = format!("the arguments of the call {:?} of the tool {:?}", call.id, call.name);
                let arguments = json_object(&what, &call.arguments)?;
                let name = &call.name;
                Ok(FunctionCall {
                    function: Function { name, arguments },
                })
            });
            Ok(ChatMessage {
                tool_calls: tool_calls.collect::<Result<_, EngineError>>()?,
                ..text_message("assistant", &message.text)
            })
        }
        Role::Tool { name, .. } => Ok(ChatMessage {
            tool_name: Some(name),
            ..text_message("tool", &message.text)
        }),
    }
}

fn text_message<'a>(role: &'static str, content: &'a str) -> ChatMessage<'a> {
    ChatMessage {
        role,
        content,
        tool_calls: Vec::new(),
        tool_name: None,
    }
}
