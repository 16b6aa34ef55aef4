//! The parts of a request's body that every kind of server reads alike.
//!
//! Ollama took OpenAI's way of offering tools. How messages and options are put differs, and is each driver's own.

use engine::{EngineError, Tool};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::json_object;

/// A tool on offer, as the body has it.
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

/// Puts tools as the body offers them.
///
/// # Errors
/// [`EngineError::InvalidRequest`], naming the tool whose parameters are no JSON object.
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

/// Writes a part of a request, or all of it.
///
/// # Errors
/// [`EngineError::Internal`] for what JSON can't say.
pub fn json_text(value: &impl Serialize) -> Result<String, EngineError> {
    serde_json::to_string(value).map_err(not_written)
}

/// As [`json_text`], indented, for people to read.
///
/// # Errors
/// As [`json_text`].
pub fn readable_json(value: &impl Serialize) -> Result<String, EngineError> {
    serde_json::to_string_pretty(value).map_err(not_written)
}

fn not_written(error: serde_json::Error) -> EngineError {
    EngineError::Internal {
        reason: format!("a request that can't be written as JSON: {error}"),
    }
}
