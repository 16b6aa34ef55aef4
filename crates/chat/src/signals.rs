//! The signals between a turn and the outside: what stops it, and what it reports to its followers.
//!
//! Channels only. It never knows a queue, a log or an engine.

mod reporter;
mod stop;

pub use reporter::{PersistFailure, QueuePosition};

pub(crate) use reporter::TurnReporter;
pub(crate) use stop::{StopReceiver, StopSender, StopSignal};

/// A turn's ends of its signals. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct TurnSignals {
    pub stop: StopReceiver,
    pub reporter: TurnReporter,
}
