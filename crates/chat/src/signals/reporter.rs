//! A turn's reports to its followers: its position in the queues, and failures to write its end.

use protocol::ErrorEvent;
use tokio::sync::watch;

/// How many turns and answers run before a turn.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct TurnsAhead {
    /// Turns of the same conversation that run or wait before it.
    in_queue: usize,
    /// Answers that its engine computes before it.
    in_engine: usize,
}

/// The sending end of a turn's reports. Clones share it; the followers' ends close when the last clone is dropped.
#[derive(Debug, Clone, Default)]
pub(crate) struct TurnReporter {
    ahead: watch::Sender<TurnsAhead>,
    failure: watch::Sender<Option<ErrorEvent>>,
}

/// The number of turns ahead of one turn, with its changes.
#[derive(Debug)]
pub struct QueuePosition {
    ahead: watch::Receiver<TurnsAhead>,
}

/// Failures to write the end of one turn to its log.
#[derive(Debug)]
pub struct PersistFailure {
    failure: watch::Receiver<Option<ErrorEvent>>,
}

impl TurnReporter {
    /// Sets how many turns of the conversation run or wait before the turn.
    pub(crate) fn set_queue_position(&self, turns: usize) {
        self.change_position(|ahead| ahead.in_queue = turns);
    }

    /// Sets how many answers the engine computes before that of the turn.
    pub(crate) fn set_engine_position(&self, answers: usize) {
        self.change_position(|ahead| ahead.in_engine = answers);
    }

    /// Reports why the turn's end can't be written yet, once for each reason.
    pub(crate) fn report_persist_failure(&self, failure: ErrorEvent) {
        self.failure.send_if_modified(|known| {
            let is_new = known.as_ref() != Some(&failure);
            *known = Some(failure);
            is_new
        });
    }

    /// Returns the turn's position, to follow it.
    pub(crate) fn queue_position(&self) -> QueuePosition {
        QueuePosition {
            ahead: self.ahead.subscribe(),
        }
    }

    /// Returns the turn's failures, beginning with the present one.
    pub(crate) fn persist_failure(&self) -> PersistFailure {
        let mut failure = self.failure.subscribe();
        failure.mark_changed();
        PersistFailure { failure }
    }

    /// Changes the position, and wakes its followers if it differs.
    fn change_position(&self, change: impl FnOnce(&mut TurnsAhead)) {
        self.ahead.send_if_modified(|ahead| {
            let before = *ahead;
            change(ahead);
            *ahead != before
        });
    }
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
