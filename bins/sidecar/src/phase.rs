//! The phase of the sidecar's shutdown: one value, watched by everything that must end in time.

/// A phase; they follow each other in this order, and none is skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Accepts turns.
    Serving,
    /// Refuses new turns; running turns go on, with the sockets that wait for them, and HTTP is served.
    Draining,
    /// Every turn has ended, and what is still open is closed.
    Stopping,
}
