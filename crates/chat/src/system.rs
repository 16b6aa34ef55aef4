//! The agent as a turn keeps it, and the system part that it becomes.

use agent_store::Agent;
use serde::{Deserialize, Serialize};

/// An agent as the store keeps it with a turn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Snapshot {
    pub id: String,
    pub name: String,
    pub system_prompt: String,
    pub markdown_context: String,
    #[serde(default)]
    pub options: serde_json::Map<String, serde_json::Value>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<serde_json::Value>,
}

impl Snapshot {
    pub(crate) fn of(agent: &Agent) -> Self {
        Self {
            id: agent.id.to_string(),
            name: agent.name.clone(),
            system_prompt: agent.system_prompt.clone(),
            markdown_context: agent.markdown_context.clone(),
            options: agent.options.clone(),
            models: agent.models.clone(),
            tools: agent.tools.clone(),
        }
    }

    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a snapshot has string keys only")
    }

    /// The system part: prompt and context, without white space around either, an empty line between them. `None` when both
    /// are blank.
    pub(crate) fn system(&self) -> Option<String> {
        match (self.system_prompt.trim(), self.markdown_context.trim()) {
            ("", "") => None,
            (prompt, "") => Some(prompt.to_owned()),
            ("", context) => Some(context.to_owned()),
            (prompt, context) => Some(format!("{prompt}\n\n{context}")),
        }
    }

    pub(crate) fn into_wire(self) -> protocol::Agent {
        let Self {
            id,
            name,
            system_prompt,
            markdown_context,
            options: _,
            models: _,
            tools: _,
        } = self;
        protocol::Agent {
            id,
            name,
            system_prompt,
            markdown_context,
        }
    }
}
