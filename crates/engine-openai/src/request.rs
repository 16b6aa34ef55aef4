//! Converts a request to the body of `POST /v1/chat/completions`.

use engine::{EngineError, Message, Request, Role};
use serde::Serialize;
use upstream::{Framing, OfferedTool, Wire, json_object, offered_tools, server_seed, to_json, to_pretty_json};

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
    messages: Vec<ChatMessage<'a>>,
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
struct ChatMessage<'a> {
    role: &'static str,
    content: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<FunctionCall<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<&'a str>,
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
                json_object(&what, &call.arguments)?;
                Ok(FunctionCall {
                    id: &call.id,
                    r#type: "function",
                    function: Function {
                        name: &call.name,
                        arguments: &call.arguments,
                    },
                })
            });
            Ok(ChatMessage {
                tool_calls: tool_calls.collect::<Result<_, EngineError>>()?,
                ..text_message("assistant", &message.text)
            })
        }
        Role::Tool { call_id, .. } => Ok(ChatMessage {
            tool_call_id: Some(call_id),
            ..text_message("tool", &message.text)
        }),
    }
}

fn text_message<'a>(role: &'static str, content: &'a str) -> ChatMessage<'a> {
    ChatMessage {
        role,
        content,
        tool_calls: Vec::new(),
        tool_call_id: None,
    }
}
