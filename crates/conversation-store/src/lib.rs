//! Conversations, turns and the event log in SQLite, with a live tail.
//!
//! In go commands ([`NewTurn`], [`AppendEvents`], [`EndTurn`]); out come the log's [`Event`]s, numbered 1, 2, 3 … per
//! conversation, and the [`Turn`]s, a tree. One writer thread commits its whole queue as one transaction, and only then
//! replies and wakes the readers. The tokens of a running turn take a fast path past it: a write-ahead log with a
//! memtable for each conversation, which the writer flushes into the database later. Readers never see what a crash
//! could undo.
//!
//! The crate stores a kind and JSON text for each event. It knows no wire type, never looks into the JSON, never reads
//! the clock, and never decides what an event contains.

mod archive;
mod archive_record;
mod backend;
mod conversation;
mod error;
mod event;
mod queries;
mod readers;
mod receipt;
mod schema;
mod store;
mod tail;
#[cfg(test)]
mod tests;
mod token_ids;
mod turn;
mod unflushed;
mod wal;
mod writer;

pub use archive::{Export, Import, ImportChecks, ImportTarget, Imported};
pub use conversation::{Conversation, ConversationPage};
pub use error::{DiskFault, StoreError};
pub use event::{Event, NewEvent, SeqRange};
pub use receipt::Receipt;
pub use store::ConversationStore;
pub use tail::Tail;
pub use turn::{
    AnswerDelta, AppendEvents, BegunTurn, EndTurn, NewTurn, Parent, PathLimit, PathStart, Publish, StartedFacts, Turn,
    TurnKey, TurnState,
};
