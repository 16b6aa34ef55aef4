//! Conversations, turns and the event log in SQLite, with a live tail.
//!
//! In go whole commands ([`NewTurn`], [`AppendEvents`], [`EndTurn`]); out come the log's [`Event`]s, numbered
//! 1, 2, 3 … per conversation, and the [`Turn`]s, a tree. One writer thread commits its whole queue as one
//! transaction and only then answers and wakes the readers; the tokens of a running turn go past it, by a journal that it moves into
//! the database later. Nothing is seen that a crash could take back.
//!
//! The crate stores a kind and JSON text for each event. It knows no wire type, never looks into the JSON,
//! never reads the clock, and never decides what a turn should say.

mod archive;
mod conversation;
mod error;
mod event;
mod live;
mod queries;
mod readers;
mod schema;
mod store;
mod tail;
#[cfg(test)]
mod tests;
mod token_ids;
mod turn;
mod writer;

pub use archive::{Export, Import, ImportChecks, ImportTo, Imported};
pub use conversation::{Conversation, Page};
pub use error::{DiskFault, StoreError};
pub use event::{Event, NewEvent, Seqs};
pub use store::{ConversationStore, Receipt};
pub use tail::Tail;
pub use turn::{
    AnswerDelta, AppendEvents, Begun, EndTurn, NewTurn, Parent, PathLimit, PathStart, Publish, StartedFacts, Turn,
    TurnKey, TurnState,
};
