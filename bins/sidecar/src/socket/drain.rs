//! When a socket ends because the sidecar stops.
//!
//! During a drain a socket stays as long as it owns or follows a turn that runs or waits. A turn counts as live until
//! its terminal event is in the log, so a socket that ends has nothing more to read than its log has. Nothing here
//! closes it.

use tokio::sync::watch;

use crate::phase::Phase;
use crate::state::AppState;

/// One socket's view of the drain.
pub(super) struct DrainWatch {
    phase: watch::Receiver<Phase>,
    live_turns: watch::Receiver<usize>,
    /// The phase that the socket has seen.
    seen: Phase,
}

impl DrainWatch {
    pub(super) fn new(state: &AppState) -> Self {
        Self {
            phase: state.phase.clone(),
            live_turns: state.chat.watch_live_turns(),
            seen: state.phase(),
        }
    }

    /// Waits until something happened that may end the socket. Cancel safe: no change is missed.
    pub(super) async fn changed(&mut self) {
        let seen = self.seen;
        let next = self.phase.wait_for(|phase| *phase > seen);
        // The sender of the phase lives as long as the sidecar.
        self.seen = match seen {
            Phase::Serving => next.await.map_or(Phase::Stopping, |phase| *phase),
            Phase::Draining => tokio::select! {
                phase = next => phase.map_or(Phase::Stopping, |phase| *phase),
                _ = self.live_turns.changed() => Phase::Draining,
            },
            Phase::Stopping => Phase::Stopping,
        };
    }

    /// Returns true if the socket has nothing left to wait for; `waits_for_turn` is asked only during a drain.
    pub(super) fn is_over(&self, waits_for_turn: impl FnOnce() -> bool) -> bool {
        match self.seen {
            Phase::Serving => false,
            Phase::Draining => !waits_for_turn(),
            Phase::Stopping => true,
        }
    }
}
