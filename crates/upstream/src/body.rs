//! The parts of a request's body that are the same for all kinds of servers.
//!
//! Ollama uses OpenAI's definitions of tools and, but for the calls of tools, its messages. Options differ, and are in
//! the drivers.

use engine::{EngineError, Request, Role, Tool, ToolCall};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::json_object;

/// The definition of a tool in a request's body.
#[derive(Debug, Serialize)]
pub struct OfferedTool<'a> {
    r#type: &'static str,
    function: Description<'a>,
}

#[derive(Debug, Serialize)]
struct Description<'a> {
    name: &'a str,
    description: &'a str,
    parameters: Box<RawValue>,
}

/// Converts tools to their definitions in a request's body.
///
/// # Errors
/// [`EngineError::InvalidRequest`] naming the tool whose parameters are not a JSON object.
pub fn offered_tools(tools: &[Tool]) -> Result<Vec<OfferedTool<'_>>, EngineError> {
    tools.iter().map(offered).collect()
}

fn offered(tool: &Tool) -> Result<OfferedTool<'_>, EngineError> {
    let what = format!("the parameters of the tool {:?}", tool.name);
    Ok(OfferedTool {
        r#type: "function",
        function: Description {
            name: &tool.name,
            description: &tool.description,
            parameters: json_object(&what, &tool.parameters)?,
        },
    })
}

/// A message in a request's body; `C` is the server's form of a call of a tool.
#[derive(Debug, Serialize)]
pub struct ChatMessage<'a, C> {
    role: &'static str,
    content: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<C>,
    #[serde(flatten)]
    answers: Option<AnsweredCall<'a>>,
}

/// How a tool's output names the call that it answers.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AnsweredCall<'a> {
    /// By the tool's name, and by the order of the outputs.
    ToolName(&'a str),
    /// By the call's id.
    ToolCallId(&'a str),
}

/// Converts the system part and the messages of a request. `call` converts a call of a tool, whose arguments have been
/// checked, and `answered` the id and the tool's name of an answered call.
///
/// # Errors
/// [`EngineError::InvalidRequest`] naming the call whose arguments are not a JSON object.
pub fn chat_messages<'a, C>(
    request: &'a Request,
    call: impl Fn(&'a ToolCall, Box<RawValue>) -> C,
    answered: impl Fn(&'a str, &'a str) -> AnsweredCall<'a>,
) -> Result<Vec<ChatMessage<'a, C>>, EngineError> {
    let system = request.system.as_deref().map(|text| Ok(text_message("system", text)));
    let messages = request.messages.iter().map(|message| match &message.role {
        Role::User => Ok(text_message("user", &message.text)),
        Role::Assistant { calls } => Ok(ChatMessage {
            tool_calls: calls
                .iter()
                .map(|own| Ok(call(own, arguments(own)?)))
                .collect::<Result<_, EngineError>>()?,
            ..text_message("assistant", &message.text)
        }),
        Role::Tool { call_id, name } => Ok(ChatMessage {
            answers: Some(answered(call_id, name)),
            ..text_message("tool", &message.text)
        }),
    });
    system.into_iter().chain(messages).collect()
}

/// Serialises a request, or a part of it, as JSON.
///
/// # Errors
/// [`EngineError::Internal`] for a value that JSON can't represent.
pub fn to_json(value: &impl Serialize) -> Result<String, EngineError> {
    serde_json::to_string(value).map_err(not_serialised)
}

/// Serialises as [`to_json`] does, with indentation for people.
///
/// # Errors
/// As [`to_json`].
pub fn to_pretty_json(value: &impl Serialize) -> Result<String, EngineError> {
    serde_json::to_string_pretty(value).map_err(not_serialised)
}

fn not_serialised(error: serde_json::Error) -> EngineError {
    EngineError::Internal {
        reason: format!("a request that can't be written as JSON: {error}"),
    }
}

fn text_message<'a, C>(role: &'static str, content: &'a str) -> ChatMessage<'a, C> {
    ChatMessage {
        role,
        content,
        tool_calls: Vec::new(),
        answers: None,
    }
}

fn arguments(call: &ToolCall) -> Result<Box<RawValue>, EngineError> {
    let what = format!("the arguments of the call {:?} of the tool {:?}", call.id, call.name);
    json_object(&what, &call.arguments)
}
