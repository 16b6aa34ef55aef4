//! Own fields of the events beside an answer's text: reasoning, tools, steps and narration.

use schemars::JsonSchema;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use ts_rs::TS;

use crate::whole::{MAX_EXACT, Whole};

/// Own fields of `reasoning`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct Reasoning {
    /// Whole characters, never empty.
    pub token: String,
}

/// Own fields of `tool`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct Tool {
    /// Identifies the call within its turn; a `tool-output` answers it.
    pub call_id: String,
    /// The tool's name.
    pub name: String,
    /// The arguments.
    #[ts(type = "unknown")]
    pub payload: Value,
}

/// Own fields of `tool-output`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct ToolOutput {
    /// The call that this answers.
    pub call_id: String,
    /// The tool's name.
    pub name: String,
    /// The tool's output.
    #[ts(type = "unknown")]
    pub payload: Value,
}

/// Own fields of `step-start`, `step` and `step-finish`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema, TS)]
#[ts(optional_fields)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// The step's number within a turn, counted from 1.
    #[schemars(range(max = MAX_EXACT))]
    pub step: u64,
    /// Title of the step, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Content of the step, for programs.
    #[ts(type = "unknown")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<Value>,
}

impl<'de> Deserialize<'de> for Step {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Sent {
            step: Whole,
            #[serde(default)]
            title: Option<String>,
            #[serde(default)]
            payload: Option<Value>,
        }
        let sent = Sent::deserialize(json)?;
        let Whole(step) = sent.step;
        if step > MAX_EXACT {
            return Err(D::Error::custom(format!("step {step} is above {MAX_EXACT}")));
        }
        Ok(Self {
            step,
            title: sent.title,
            payload: sent.payload,
        })
    }
}

/// Own fields of `summary`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[ts(optional_fields)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// The summary, as Markdown.
    pub text: String,
    /// The name of the document that holds it.
    #[serde(rename = "ref", default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
}

/// Own fields of `narration`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[ts(optional_fields)]
#[serde(rename_all = "camelCase")]
pub struct Narration {
    /// The remark.
    pub text: String,
    /// A short form of the remark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headline: Option<String>,
    /// The author.
    pub source: NarrationSource,
}

/// The author of a [`Narration`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "snake_case")]
pub enum NarrationSource {
    /// The narrator.
    Narrator,
    /// An agent.
    Agent,
    /// The server.
    System,
    /// A person.
    User,
}
