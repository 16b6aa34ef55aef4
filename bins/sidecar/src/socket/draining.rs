//! When a socket is over because the sidecar stops.
//!
//! During a drain a socket stays as long as it owns or follows a turn that runs or waits; turns leave that number only after their
//! terminal event is in the log, so a socket that is over has nothing more to read than its log has. Nothing here closes it.

use tokio::sync::watch;

use super::connection::Connection;
use crate::phase::Phase;
use crate::state::State;

/// One socket's view of the drain.
pub(super) struct Drain {
    phase: watch::Receiver<Phase>,
    live_turns: watch::Receiver<usize>,
    /// The phase that the socket knows of.
    seen: Phase,
}

impl Drain {
    pub(super) fn new(state: &State) -> Self {
        Self {
            phase: state.phase.clone(),
            live_turns: state.chat.watch_live_turns(),
            seen: state.phase(),
        }
    }

    /// Waits until something happened that may end the socket; nothing is missed when it is dropped before.
    pub(super) async fn step(&mut self) {
        let seen = self.seen;
        let next = self.phase.wait_for(|phase| *phase > seen);
        // Whoever says the phase is gone only with the sidecar.
        self.seen = match seen {
            Phase::Serving => next.await.map_or(Phase::Stopping, |phase| *phase),
            Phase::Draining => tokio::select! {
                phase = next => phase.map_or(Phase::Stopping, |phase| *phase),
                _ = self.live_turns.changed() => Phase::Draining,
            },
            Phase::Stopping => Phase::Stopping,
        };
    }

    /// Whether the socket has nothing left to wait for.
    pub(super) fn is_over(&self, socket: &Connection) -> bool {
        match self.seen {
            Phase::Serving => false,
            Phase::Draining => !socket.waits_for_a_turn(),
            Phase::Stopping => true,
        }
    }
}

impl Connection {
    /// Whether a turn runs, or waits to run, that this socket owns or follows.
    fn waits_for_a_turn(&self) -> bool {
        let chat = &self.state.chat;
        let owned = || self.state.owners.of(self.seat.id);
        self.following.keys().any(|conversation| chat.is_live(conversation))
            || owned().iter().any(|turn| chat.is_live(&turn.conversation))
    }
}
