//! The tools that a model may call, as an agent's file or a message defines them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use ts_rs::TS;

use crate::ProtocolError;
use crate::error::shortened;
use crate::object::Object;
use crate::texts;

/// Most tools of a turn, each of which is part of every prompt; more of them leave little room for the conversation.
pub(crate) const MAX_TOOLS: usize = 64;
/// Longest name of a tool that OpenAI's interface allows, and so every server accepts.
const MAX_NAME_BYTES: usize = 64;

/// A tool that a model may call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, TS)]
#[ts(optional_fields)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ToolDefinition {
    /// `[A-Za-z0-9_-]{1,64}`, unique among a turn's tools.
    #[schemars(with = "texts::ToolName")]
    pub name: String,
    /// What the tool does, in words for the model.
    #[schemars(skip_serializing_if = "String::is_empty")]
    #[ts(as = "Option<String>")]
    #[serde(default)]
    pub description: String,
    /// JSON Schema of the arguments, an object; without arguments by default.
    #[schemars(skip_serializing_if = "Map::is_empty")]
    #[ts(type = "Record<string, unknown>", optional)]
    #[serde(default)]
    pub parameters: Map<String, Value>,
}

impl ToolDefinition {
    /// Parses a list of tools from JSON text; errors refer to it as `key`.
    ///
    /// # Errors
    /// [`ProtocolError`] naming `key`, and the tool that is wrong.
    pub fn parse_list(key: &'static str, json: &str) -> Result<Vec<Self>, ProtocolError> {
        let wrong = |expected: String| ProtocolError::WrongValue {
            key,
            expected,
            found: shortened(json),
        };
        let tools = serde_json::from_str::<Vec<Object<Self>>>(json)
            .map_err(|error| wrong(format!("a list of {{name, description?, parameters?}} ({error})")))?;
        let tools: Vec<Self> = tools.into_iter().map(|tool| tool.0).collect();
        if tools.len() > MAX_TOOLS {
            return Err(wrong(format!("at most {MAX_TOOLS} tools")));
        }
        for (index, tool) in tools.iter().enumerate() {
            let name = shortened(&tool.name);
            if !is_name(&tool.name) {
                return Err(wrong(format!(
                    "tools named with 1 to {MAX_NAME_BYTES} letters, digits, _ and -, unlike {name:?}"
                )));
            }
            if tools[..index].iter().any(|earlier| earlier.name == tool.name) {
                return Err(wrong(format!("tools with different names, not {name:?} twice")));
            }
        }
        Ok(tools)
    }
}

fn is_name(name: &str) -> bool {
    let letters = name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    letters && (1..=MAX_NAME_BYTES).contains(&name.len())
}
