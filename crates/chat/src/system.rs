//! The agent as a turn keeps it, and the system part that it becomes.

use agent_store::{Agent, AgentId, InvalidAgentId};
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

/// Checks an agent's snapshot from elsewhere, as JSON: that it is one, and that it has this hash.
///
/// # Errors
/// What is wrong, in words.
pub fn check_snapshot(hash: &str, json: &str) -> Result<(), String> {
    let snapshot: Snapshot = serde_json::from_str(json).map_err(|error| format!("it is no agent: {error}"))?;
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

impl Snapshot {
    /// The agent that it was taken of, without its hash.
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
