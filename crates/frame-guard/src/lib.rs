//! A client's WebSocket bytes, checked as they come (RFC 6455): bytes in, the first broken rule out.
//!
//! For a server that is given bytes by one library and has frames read by another: only what a [`Checker`] has passed goes on, so a
//! frame that is too big is refused by its header, and each fault has its own close code. No compression, no fragments of its
//! own: it allocates nothing, keeps no payload, and never answers a peer.

mod checker;
#[cfg(any(test, feature = "fuzz"))]
pub mod plain;
#[cfg(test)]
mod tests;
mod utf8;
mod violation;

pub use checker::{Bounds, Checked, Checker};
pub use violation::Violation;
