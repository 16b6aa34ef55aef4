//! The narrator relay and the leases of controllers.
//!
//! A person's message to a workspace's narrator goes in ([`Narrator::send`]); a [`Relay`] answers it, and the answer is
//! written twice: as `narration` events in a conversation's log, for all its readers, and as lines of the workspace's
//! own log, from which feed and summary are read. Controllers hold [`Leases`], with which they publish events of their
//! own.
//!
//! This crate serves no HTTP, runs no model, and doesn't know how a turn works: narration and turns meet in the log.

mod clock;
mod error;
mod fake;
#[cfg(feature = "http")]
mod http;
mod leases;
mod log;
mod narrator;
mod relay;
mod safe_name;
mod summary;
#[cfg(test)]
mod tests;

pub use clock::Clock;
pub use error::{LeaseError, NarratorError, RelayError};
pub use fake::{FakeAnswer, FakeRelay};
#[cfg(feature = "http")]
pub use http::HttpRelay;
pub use leases::{GrantedLease, LeaseHolder, LeaseRequest, Leases};
pub use narrator::{FeedQuery, Narrator, NarratorSettings, NarratorStores, WaitFor};
pub use relay::{Relay, RelayAnswer, RelayFuture, RelayMessage, Remark};
