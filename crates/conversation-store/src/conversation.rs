//! A conversation as it is listed, and a page of them.

use crate::TurnKey;

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

/// One page of conversations, the newest created first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// At most as many as were asked for.
    pub conversations: Vec<Conversation>,
    /// What to pass as the cursor of the next page; absent on the last one.
    pub next: Option<String>,
}
