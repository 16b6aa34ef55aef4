//! A request as the body of `POST /v1/chat/completions`.

use engine::{EngineError, Message, Request, Role};
use serde::Serialize;
use upstream::{Framing, OfferedTool, Wire, json_object, offered_tools, server_seed, to_json, to_pretty_json};

use crate::read::OpenAiDecoder;

/// OpenAI's language, set for one model.
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
    messages: Vec<Said<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<OfferedTool<'a>>,
    stream: bool,
    stream_options: StreamOptions,
    max_tokens: u32,
    seed: u32,
    temperature: f32,
    top_p: f32,
    /// This and the next two are no part of OpenAI's own, which refuses what it doesn't know: sent only when they do
    /// something.
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
struct Said<'a> {
    role: &'static str,
    content: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<Called<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<&'a str>,
}

#[derive(Serialize)]
struct Called<'a> {
    id: &'a str,
    r#type: &'static str,
    function: Function<'a>,
}

#[derive(Serialize)]
struct Function<'a> {
    name: &'a str,
    /// JSON as text inside JSON.
    arguments: &'a str,
}

fn messages(request: &Request) -> Result<Vec<Said<'_>>, EngineError> {
    let system = request.system.as_deref().map(|text| Ok(plain("system", text)));
    system.into_iter().chain(request.messages.iter().map(said)).collect()
}

fn said(message: &Message) -> Result<Said<'_>, EngineError> {
    match &message.role {
        Role::User => Ok(plain("user", &message.text)),
        Role::Assistant { calls } => {
            let called = calls.iter().map(|call| {
                let what = format!("the arguments of the call {:?} of the tool {:?}", call.id, call.name);
                json_object(&what, &call.arguments)?;
                Ok(Called {
                    id: &call.id,
                    r#type: "function",
                    function: Function {
                        name: &call.name,
                        arguments: &call.arguments,
                    },
                })
            });
            Ok(Said {
                tool_calls: called.collect::<Result<_, EngineError>>()?,
                ..plain("assistant", &message.text)
            })
        }
        Role::Tool { call_id, .. } => Ok(Said {
            tool_call_id: Some(call_id),
            ..plain("tool", &message.text)
        }),
    }
}

fn plain<'a>(role: &'static str, content: &'a str) -> Said<'a> {
    Said {
        role,
        content,
        tool_calls: Vec::new(),
        tool_call_id: None,
    }
}
