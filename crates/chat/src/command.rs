//! The commands that begin a turn, and what comes back.

use protocol::{OptionsPatch, ToolDefinition};
use sha2::{Digest, Sha256};

/// Begins a turn.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TurnCommand {
    /// The agent that answers.
    pub agent_id: String,
    /// The conversation; a new one when absent, created under this id when unknown.
    pub conversation_id: Option<String>,
    /// The client's own name for the turn; a new one when absent.
    pub turn_id: Option<String>,
    /// The turn that it follows; the conversation's head when absent.
    pub parent_turn_id: Option<String>,
    /// The turn that it stands beside, with another text, also a conversation's first; in place of a parent.
    pub edit_turn_id: Option<String>,
    /// What the user says.
    pub message: String,
    /// Options of the hello, under those of the message.
    pub hello_options: OptionsPatch,
    /// Options of the message.
    pub options: OptionsPatch,
    /// Tools that the model may ask for, in place of the agent's.
    pub tools: Option<Vec<ToolDefinition>>,
}

/// Begins a sibling of a turn: the same parent, the same words of the user, the same agent as it is now.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RegenerateCommand {
    /// The conversation.
    pub conversation_id: String,
    /// The turn whose words are answered once more, in whatever state it is.
    pub turn_id: String,
    /// The client's own name for the new turn; a new one when absent.
    pub new_turn_id: Option<String>,
    /// Options of the hello, under those of the command.
    pub hello_options: OptionsPatch,
    /// Options of the command.
    pub options: OptionsPatch,
    /// Tools that the model may ask for, in place of the agent's.
    pub tools: Option<Vec<ToolDefinition>>,
}

/// A turn that has begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TurnHandle {
    /// The conversation.
    pub conversation_id: String,
    /// The turn.
    pub turn_id: String,
    /// The `seq` of the turn's `user` event: its frames are at and after it.
    pub first_seq: u64,
    /// The turn was there already, and this command asked for the same.
    pub joined: bool,
}

impl TurnCommand {
    /// Hash of what makes a repeated command the same one: all that the message said, each part with its length before it.
    pub(crate) fn body_hash(&self) -> String {
        let (options, tools) = (options_json(&self.options), tools_json(self.tools.as_deref()));
        let parent = self.parent_turn_id.as_deref().unwrap_or_default();
        let mut parts = vec![self.agent_id.as_str(), parent, &self.message, &options];
        // A message that says nothing of tools keeps the hash that it had before there were any.
        if self.tools.is_some() {
            parts.push(&tools);
        }
        if let Some(edited) = &self.edit_turn_id {
            parts.extend(["edit", edited]);
        }
        hash_of(&parts)
    }
}

impl RegenerateCommand {
    /// As [`TurnCommand::body_hash`]. What the turn's words are is said by its id.
    pub(crate) fn body_hash(&self) -> String {
        let (options, tools) = (options_json(&self.options), tools_json(self.tools.as_deref()));
        hash_of(&["regenerate", &self.turn_id, &options, &tools])
    }
}

fn options_json(options: &OptionsPatch) -> String {
    serde_json::to_string(options).expect("options have no map with other keys than strings")
}

fn tools_json(tools: Option<&[ToolDefinition]>) -> String {
    serde_json::to_string(&tools).expect("tools have string keys only")
}

fn hash_of(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    hex(&hash.finalize())
}

/// Bytes in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
