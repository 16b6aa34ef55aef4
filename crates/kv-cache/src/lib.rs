//! The StreamingLLM cache: attention sinks and a rolling window, as integers and angles, and as keys and values on the CPU.
//!
//! The paper (arXiv:2309.17453) keeps the first few tokens of a stream, the *sinks*, and a *window* of the newest ones, and
//! gives every token the position that it has inside the cache. Its code stores keys unrotated and rotates all of them by
//! their slot on every read. This crate says how to reach the same result without ever moving or rotating a stored key:
//!
//! - [`SinkWindow`] says what a query sees, what has left, and which position a query has in the cache;
//! - [`RotaryTable`] gives the angles, exact at any position;
//! - [`Ring`] says in which slots keys are written and found again, for chunks of any length, and how far back one can go.
//!
//! Positions of tokens go in, ranges of slots come out. Whoever computes on a device of its own stores keys and values there. For
//! the CPU they are here:
//!
//! - [`KvStore`] keeps them in halves, in pages that are aligned to positions, and gives them as bytes, piece by piece, to go on
//!   from in another process;
//! - [`Attention`] lets chunks of any sequences read them, in parts that the caller's threads run, to the same bits however it is
//!   cut, with the fastest [`Kernel`].
//!
//! There is no tensor library here, no model, and no thread.

mod attention;
mod chunk;
mod error;
mod heads;
mod kernel;
mod ring;
mod rotary;
mod sink_window;
mod store;
#[cfg(test)]
mod tests;

pub use attention::{Attention, AttentionInput, AttentionPart};
pub use chunk::Chunk;
pub use error::KvCacheError;
pub use heads::HeadShape;
pub use kernel::Kernel;
pub use ring::{CachePolicy, Insert, InsertSpan, Ring, RingRoom, SlotSpan, Visible};
pub use rotary::RotaryTable;
pub use sink_window::SinkWindow;
pub use store::{KvLayer, KvStore, KvWriter, PAGE_TOKENS};
