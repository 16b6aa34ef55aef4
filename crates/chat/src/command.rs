//! The commands that start a turn, and the handle that they return.

use protocol::{OptionsPatch, ToolDefinition};
use sha2::{Digest, Sha256};

/// A command to start a turn.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TurnCommand {
    /// The agent that answers.
    pub agent_id: String,
    /// The conversation; created under this id if unknown, and under a new one if absent.
    pub conversation_id: Option<String>,
    /// The client's id for the turn; a new one if absent.
    pub turn_id: Option<String>,
    /// The turn that it follows; the conversation's head if absent.
    pub parent_turn_id: Option<String>,
    /// The turn whose sibling it is, with an edited text; in place of a parent. May be a conversation's first turn.
    pub edit_turn_id: Option<String>,
    /// The user's text.
    pub message: String,
    /// Options of the hello; those of the message override them.
    pub hello_options: OptionsPatch,
    /// Options of the message.
    pub options: OptionsPatch,
    /// Tools that the model may call, in place of the agent's.
    pub tools: Option<Vec<ToolDefinition>>,
}

/// A command to start a sibling of a turn: the same parent, the same user text, the same agent as it is now.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RegenerateCommand {
    /// The conversation.
    pub conversation_id: String,
    /// The turn whose user text is answered again, in any state.
    pub turn_id: String,
    /// The client's id for the new turn; a new one if absent.
    pub new_turn_id: Option<String>,
    /// Options of the hello; those of the command override them.
    pub hello_options: OptionsPatch,
    /// Options of the command.
    pub options: OptionsPatch,
    /// Tools that the model may call, in place of the agent's.
    pub tools: Option<Vec<ToolDefinition>>,
}

/// A turn that has been started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TurnHandle {
    /// The conversation.
    pub conversation_id: String,
    /// The turn.
    pub turn_id: String,
    /// The `seq` of the turn's `user` event: its frames are at and after it.
    pub first_seq: u64,
    /// True if the command repeats one that had started the turn already.
    pub joined: bool,
}

impl TurnCommand {
    /// Returns a hash of the command, by which a repeated one is recognised: each part with its length before it.
    pub(crate) fn body_hash(&self) -> String {
        let (options, tools) = (options_json(&self.options), tools_json(self.tools.as_deref()));
        let parent = self.parent_turn_id.as_deref().unwrap_or_default();
        let mut parts = vec![self.agent_id.as_str(), parent, &self.message, &options];
        // A command without tools keeps the hash that it had before tools existed.
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
    /// Returns a hash as [`TurnCommand::body_hash`] does. The turn's id stands for its text.
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

/// Hashes parts, each with its length before it.
fn hash_of(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    hex(&hash.finalize())
}

/// Returns bytes in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
