//! The agent as it is stored with a turn, and the system part made of it.
//!
//! Pure: an agent or its stored JSON goes in; JSON, the system part or the wire type comes out.

use agent_store::{Agent, AgentId, InvalidAgentId};
use serde::{Deserialize, Serialize};

/// An agent as it is stored with a turn, as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AgentSnapshot {
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

/// Checks that the JSON of a snapshot from an import is an agent with this hash.
///
/// # Errors
/// What is wrong, as a sentence.
pub fn check_snapshot(hash: &str, json: &str) -> Result<(), String> {
    let snapshot: AgentSnapshot = serde_json::from_str(json).map_err(|error| format!("it is no agent: {error}"))?;
    let agent = snapshot.into_agent().map_err(|error| error.to_string())?;
    let found = agent.content_hash();
    if found == hash {
        return Ok(());
    }
    Err(format!(
        "agent \"{}\" has the hash {found}, not the one that is said",
        agent.id
    ))
}

impl AgentSnapshot {
    /// Returns the agent, without its hash.
    fn into_agent(self) -> Result<Agent, InvalidAgentId> {
        Ok(Agent {
            id: AgentId::parse(&self.id)?,
            name: self.name,
            system_prompt: self.system_prompt,
            markdown_context: self.markdown_context,
            options: self.options,
            models: self.models,
            tools: self.tools,
            hash: String::new(),
        })
    }

    /// Takes the snapshot of an agent.
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

    /// Returns the stored form.
    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a snapshot has string keys only")
    }

    /// Returns the system part: prompt and context, each trimmed, with an empty line between them. Returns `None` if
    /// both are blank.
    pub(crate) fn system(&self) -> Option<String> {
        match (self.system_prompt.trim(), self.markdown_context.trim()) {
            ("", "") => None,
            (prompt, "") => Some(prompt.to_owned()),
            ("", context) => Some(context.to_owned()),
            (prompt, context) => Some(format!("{prompt}\n\n{context}")),
        }
    }

    /// Returns the parts of the agent that the wire shows.
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
