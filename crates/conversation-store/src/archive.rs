//! A conversation as JSON Lines: out of one store, and into another, with nothing lost.
//!
//! The first line is the header; then come the agents as turns saw them, the turns in the order in which they began, and the events
//! by number. Whatever is JSON in a column is the same bytes in its line. Numbers of turns are this store's own and aren't told: turns
//! name each other by id.

mod export;
mod import;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

pub use export::Export;
pub use import::{Import, ImportChecks, ImportTo};

/// What the header's `format` says.
const FORMAT: &str = "sidecar.conversation";

/// The version that this store writes and reads.
const VERSION: u32 = 1;

/// What an import has brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// The conversation, under its new id if it was given one.
    pub conversation: String,
    /// How many turns it has.
    pub turns: u64,
    /// How many events its log has.
    pub events: u64,
}

/// The first line.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Header {
    format: String,
    version: u32,
    pub(crate) conversation: ConversationRecord,
}

/// The conversation itself. `turns` and `last_seq` are also what a file that was cut off is known by.
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

/// Every other line.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Record {
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

impl Header {
    fn new(conversation: ConversationRecord) -> Self {
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            conversation,
        }
    }
}
