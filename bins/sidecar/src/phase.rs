//! Where the sidecar is in its life: one value, watched by whatever must end in time.

/// A phase; they follow each other in this order, and none is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// It takes turns.
    Serving,
    /// It takes no new turn; those that run go on, with the sockets that wait for them, and HTTP answers.
    Draining,
    /// Every turn has ended: what is still open is closed.
    Stopping,
}
