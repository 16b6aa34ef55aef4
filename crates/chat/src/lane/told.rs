//! What a turn is told, and what is told of it to whoever follows it.

use protocol::ErrorEvent;
use tokio::sync::watch;

use super::Stop;

/// What a turn waits for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Ahead {
    /// Turns of its conversation that run or wait before it.
    pub(super) in_lane: usize,
    /// Answers that its engine computes before its own.
    pub(super) in_engine: usize,
}

/// How a turn is told to stop, and how many are ahead of it.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) stop: watch::Sender<Stop>,
    pub(super) ahead: watch::Sender<Ahead>,
    pub(super) trouble: watch::Sender<Option<ErrorEvent>>,
    /// Places with this turn id: a command that comes twice at once has two, until one of them is found to join the other.
    pub(super) places: usize,
}

/// How many turns are ahead of one, followed.
#[derive(Debug)]
pub struct QueuePosition {
    pub(super) ahead: watch::Receiver<Ahead>,
}

impl QueuePosition {
    /// Turns that run or wait before it, of its conversation, or of all that its engine computes; 0 when it runs itself.
    pub fn ahead(&mut self) -> usize {
        let Ahead { in_lane, in_engine } = *self.ahead.borrow_and_update();
        in_lane + in_engine
    }

    /// Waits until that has changed since it was last asked for; `None` when the turn is over. Cancel safe.
    pub async fn changed(&mut self) -> Option<usize> {
        self.ahead.changed().await.ok()?;
        Some(self.ahead())
    }
}

/// What keeps a turn from its end, followed: its log can't be written.
#[derive(Debug)]
pub struct PersistFailure {
    pub(super) told: watch::Receiver<Option<ErrorEvent>>,
}

impl PersistFailure {
    /// Waits for trouble that was not told yet; `None` when the turn is over. Cancel safe.
    pub async fn next(&mut self) -> Option<ErrorEvent> {
        loop {
            self.told.changed().await.ok()?;
            if let Some(trouble) = self.told.borrow_and_update().clone() {
                return Some(trouble);
            }
        }
    }
}

impl Told {
    /// Says what is ahead, if that is news.
    pub(super) fn tell_ahead(&self, change: impl FnOnce(&mut Ahead)) {
        self.ahead.send_if_modified(|ahead| {
            let known = *ahead;
            change(ahead);
            *ahead != known
        });
    }
}

impl Default for Told {
    fn default() -> Self {
        Self {
            stop: watch::Sender::new(Stop::No),
            ahead: watch::Sender::default(),
            trouble: watch::Sender::new(None),
            places: 0,
        }
    }
}
