//! The signals of one turn: its stop signal, its position in the queues, and failures to write its end.

use protocol::ErrorEvent;
use tokio::sync::watch;

use super::StopSignal;

/// How many turns and answers run before a turn.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct TurnsAhead {
    /// Turns of the same conversation that run or wait before it.
    pub(super) in_queue: usize,
    /// Answers that its engine computes before it.
    pub(super) in_engine: usize,
}

/// The sending ends of a turn's signals. They are dropped, and so closed, with the turn's last permit.
#[derive(Debug)]
pub(super) struct TurnSignals {
    /// Asks the turn to stop.
    pub(super) stop: watch::Sender<StopSignal>,
    /// The turn's position, for its followers.
    pub(super) ahead: watch::Sender<TurnsAhead>,
    /// Why the turn's end can't be written, for its followers.
    pub(super) failure: watch::Sender<Option<ErrorEvent>>,
    /// Permits for this turn id. A command that is sent twice at once has two, until one is found to join the other.
    pub(super) permits: usize,
}

/// The number of turns ahead of one turn, with its changes.
#[derive(Debug)]
pub struct QueuePosition {
    pub(super) ahead: watch::Receiver<TurnsAhead>,
}

impl QueuePosition {
    /// Returns how many turns of the conversation and answers of the engine run before the turn; 0 once it runs itself.
    pub fn ahead(&mut self) -> usize {
        let TurnsAhead { in_queue, in_engine } = *self.ahead.borrow_and_update();
        in_queue + in_engine
    }

    /// Waits for the number to change and returns it; returns `None` once the turn is over. Cancel safe.
    pub async fn changed(&mut self) -> Option<usize> {
        self.ahead.changed().await.ok()?;
        Some(self.ahead())
    }
}

/// Failures to write the end of one turn to its log.
#[derive(Debug)]
pub struct PersistFailure {
    pub(super) failure: watch::Receiver<Option<ErrorEvent>>,
}

impl PersistFailure {
    /// Waits for the next failure with a new reason; returns `None` once the turn is over. Cancel safe.
    pub async fn next(&mut self) -> Option<ErrorEvent> {
        loop {
            self.failure.changed().await.ok()?;
            if let Some(failure) = self.failure.borrow_and_update().clone() {
                return Some(failure);
            }
        }
    }
}

impl TurnSignals {
    /// Changes the position, and wakes its followers if it differs.
    pub(super) fn set_position(&self, change: impl FnOnce(&mut TurnsAhead)) {
        self.ahead.send_if_modified(|ahead| {
            let before = *ahead;
            change(ahead);
            *ahead != before
        });
    }
}

impl Default for TurnSignals {
    fn default() -> Self {
        Self {
            stop: watch::Sender::new(StopSignal::Run),
            ahead: watch::Sender::default(),
            failure: watch::Sender::new(None),
            permits: 0,
        }
    }
}
