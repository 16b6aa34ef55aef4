//! A conversation as it is listed, and a page of conversations.

use crate::{TurnKey, unflushed::MemtableSnapshot};

/// One conversation, without its turns and events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversation {
    /// The id that the client chose or was given.
    pub id: String,
    /// When its first turn began, in milliseconds since 1970.
    pub created_at_ms: i64,
    /// When its newest event was made, in milliseconds since 1970.
    pub updated_at_ms: i64,
    /// The turn that the active path ends in.
    pub head: Option<TurnKey>,
    /// The same turn by the id that clients know.
    pub head_turn_id: Option<String>,
    /// The number of its newest event; 0 before the first.
    pub last_seq: u64,
}

impl Conversation {
    /// Updates what unflushed events change.
    pub(crate) fn merged_with(mut self, memtable: &MemtableSnapshot) -> Self {
        if let Some(last) = memtable.after(&self.id, self.last_seq).last() {
            self.last_seq = last.seq;
            self.updated_at_ms = last.at_ms;
        }
        self
    }
}

/// One page of conversations, the newest created first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConversationPage {
    /// At most as many as were requested.
    pub conversations: Vec<Conversation>,
    /// The cursor of the next page; absent on the last one.
    pub next: Option<String>,
}
