//! The lines of an archive, as JSON.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The header's `format`.
pub(crate) const FORMAT: &str = "sidecar.conversation";

/// The version that this store writes and reads.
pub(crate) const VERSION: u32 = 1;

/// The first line.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, expecting = "struct Header")]
pub(crate) struct ArchiveHeader {
    pub(crate) format: String,
    pub(crate) version: u32,
    pub(crate) conversation: ConversationRecord,
}

/// The conversation itself. By `turns` and `last_seq` a file that was cut off is recognised.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ConversationRecord {
    pub(crate) id: String,
    pub(crate) created_at_ms: i64,
    pub(crate) updated_at_ms: i64,
    pub(crate) head_turn_id: Option<String>,
    pub(crate) last_seq: u64,
    pub(crate) turns: u64,
}

/// Any other line.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "enum Record")]
pub(crate) enum ArchiveRecord {
    Agent(AgentRecord),
    Turn(Box<TurnRecord>),
    Event(EventRecord),
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AgentRecord {
    pub(crate) hash: String,
    pub(crate) json: Box<RawValue>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct TurnRecord {
    pub(crate) id: String,
    pub(crate) parent_turn_id: Option<String>,
    pub(crate) state: String,
    pub(crate) first_seq: u64,
    pub(crate) end_seq: u64,
    pub(crate) user_text: String,
    pub(crate) answer_text: String,
    pub(crate) answer_ids: Option<Vec<u32>>,
    pub(crate) model: Option<String>,
    pub(crate) prompt_tokens: Option<u64>,
    pub(crate) epoch_turn_id: Option<String>,
    pub(crate) rounds: Option<Box<RawValue>>,
    pub(crate) agent_id: String,
    pub(crate) agent_hash: String,
    pub(crate) options: Box<RawValue>,
    pub(crate) seed: u64,
    pub(crate) body_hash: String,
    pub(crate) created_at_ms: i64,
    pub(crate) ended_at_ms: Option<i64>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct EventRecord {
    pub(crate) seq: u64,
    pub(crate) turn_id: Option<String>,
    pub(crate) kind: String,
    pub(crate) at_ms: i64,
    pub(crate) json: Box<RawValue>,
}

impl ArchiveHeader {
    pub(crate) fn new(conversation: ConversationRecord) -> Self {
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            conversation,
        }
    }
}
