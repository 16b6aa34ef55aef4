//! A request as the body of `POST /api/chat`.

use engine::{EngineError, Message, Options, Request, Role};
use serde::Serialize;
use serde_json::value::RawValue;
use upstream::{Framing, OfferedTool, Wire, json_object, offered_tools, server_seed, to_json, to_pretty_json};

use crate::read::OllamaDecoder;

/// Ollama's language, set for one model.
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
    /// All of them, always: what isn't sent has defaults that differ from model to model.
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
    messages: Vec<Said<'a>>,
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
struct Said<'a> {
    role: &'static str,
    content: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<Called<'a>>,
    /// The server knows a tool's output by the tool's name, and by the order.
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_name: Option<&'a str>,
}

#[derive(Serialize)]
struct Called<'a> {
    function: Function<'a>,
}

#[derive(Serialize)]
struct Function<'a> {
    name: &'a str,
    arguments: Box<RawValue>,
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
                let arguments = json_object(&what, &call.arguments)?;
                let name = &call.name;
                Ok(Called {
                    function: Function { name, arguments },
                })
            });
            Ok(Said {
                tool_calls: called.collect::<Result<_, EngineError>>()?,
                ..plain("assistant", &message.text)
            })
        }
        Role::Tool { name, .. } => Ok(Said {
            tool_name: Some(name),
            ..plain("tool", &message.text)
        }),
    }
}

fn plain<'a>(role: &'static str, content: &'a str) -> Said<'a> {
    Said {
        role,
        content,
        tool_calls: Vec::new(),
        tool_name: None,
    }
}
