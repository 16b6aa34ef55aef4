//! Checks a client's WebSocket bytes as they arrive (RFC 6455): bytes in, the first broken rule out.
//!
//! It is meant for a server that receives bytes from one library and has frames read by another: only what a
//! [`Checker`] has passed goes on, so a frame that is too big is refused by its header, and each violation has its own
//! close code. It knows no compression, allocates nothing, keeps no payload, and never answers a peer.

mod checker;
#[cfg(any(test, feature = "fuzz"))]
pub mod plain;
#[cfg(test)]
mod tests;
mod utf8;
mod violation;

pub use checker::{Bounds, Checked, Checker};
pub use violation::Violation;
