//! The StreamingLLM cache policy: attention sinks and a rolling window, as integers and angles.
//!
//! The paper (arXiv:2309.17453) keeps the first few tokens of a stream, the *sinks*, and a *window* of the newest ones, and
//! gives every token the position that it has inside the cache. Its code stores keys unrotated and rotates all of them by
//! their slot on every read. This crate says how to reach the same result without ever moving or rotating a stored key:
//!
//! - [`SinkWindow`] says what a query sees, what has left, and which position a query has in the cache;
//! - [`RotaryTable`] gives the angles, exact at any position;
//! - [`Ring`] says in which slots keys are written and found again, for chunks of any length, and how far back one can go.
//!
//! Positions of tokens go in, ranges of slots come out. There is no tensor here, no model, and nothing is stored.

mod error;
mod ring;
mod rotary;
mod sink_window;
#[cfg(test)]
mod tests;

pub use error::KvCacheError;
pub use ring::{CachePolicy, Insert, InsertSpan, Ring, RingRoom, SlotSpan, Visible};
pub use rotary::RotaryTable;
pub use sink_window::SinkWindow;
