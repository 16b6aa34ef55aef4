//! The parts of a request's body that are the same for all kinds of servers.
//!
//! Ollama uses OpenAI's definitions of tools. Messages and options differ, and are in the drivers.

use engine::{EngineError, Tool};
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
