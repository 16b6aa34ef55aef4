//! The archive format: a conversation as JSON Lines, exported from one store and imported into another without loss.
//!
//! The first line is the header; then come the agents' snapshots, the turns in the order in which they began, and the
//! events by number. JSON in a column is the same bytes in its line. Keys of turns belong to one store and are not
//! exported: turns refer to each other by id.

mod export;
mod import;

pub use export::Export;
pub use import::{Import, ImportChecks, ImportTarget, Imported};
