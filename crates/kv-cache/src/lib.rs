//! The StreamingLLM cache: attention sinks and a rolling window, as positions and angles, and as keys and values on the
//! CPU.
//!
//! The paper (arXiv:2309.17453) keeps the first few tokens of a stream, the *sinks*, and a *window* of the newest ones,
//! and gives each token the position that it has inside the cache. Its code stores keys unrotated and rotates all of
//! them by their slot on every read. This crate computes the same result without ever moving or rotating a stored key:
//!
//! - [`SinkWindow`] defines what a query sees, which tokens have been evicted, and which position a query has in the
//!   cache;
//! - [`RotaryTable`] computes the rotary angles, exact at any position;
//! - [`Ring`] maps positions to slots, for chunks of any length, and defines how far back a stream can be rewound.
//!
//! Token positions go in, ranges of slots come out. A caller that computes on another device stores keys and values
//! there. For the CPU, this crate stores them:
//!
//! - [`KvStore`] keeps keys and values as f16, in pages that are aligned to positions, and serialises them in
//!   increments, so that another process can resume the stream;
//! - [`Attention`] computes attention for chunks of any sequences, in parts that the caller's threads run, with
//!   identical bits however the work is split, using the fastest [`Kernel`].
//!
//! It never uses a tensor library, knows no model, and starts no thread.

mod attention;
mod chunk;
mod error;
mod heads;
mod kernel;
mod layout;
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
pub use layout::PAGE_TOKENS;
pub use ring::{CachePolicy, Insert, InsertSpan, Ring, RingSizes, SlotSpan, Visible};
pub use rotary::RotaryTable;
pub use sink_window::SinkWindow;
pub use store::{KvLayer, KvStore, KvWriter};
