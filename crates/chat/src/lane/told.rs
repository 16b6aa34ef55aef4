//! What a turn is told, and what is told of it to whoever follows it.

use protocol::ErrorEvent;
use tokio::sync::watch;

use super::Stop;

/// How a turn is told to stop, and how many are ahead of it.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) stop: watch::Sender<Stop>,
    pub(super) ahead: watch::Sender<usize>,
    pub(super) trouble: watch::Sender<Option<ErrorEvent>>,
    /// Places with this turn id: a command that comes twice at once has two, until one of them is found to join the other.
    pub(super) places: usize,
}

/// How many turns are ahead of one, followed.
#[derive(Debug)]
pub struct Queue {
    pub(super) ahead: watch::Receiver<usize>,
}

impl Queue {
    /// Turns of the conversation that run or wait before it; 0 when it runs itself.
    pub fn ahead(&mut self) -> usize {
        *self.ahead.borrow_and_update()
    }

    /// Waits until that has changed since it was last asked for; `None` when the turn is over. Cancel safe.
    pub async fn changed(&mut self) -> Option<usize> {
        self.ahead.changed().await.ok()?;
        Some(self.ahead())
    }
}

/// What keeps a turn from its end, followed: its log can't be written.
#[derive(Debug)]
pub struct Trouble {
    pub(super) told: watch::Receiver<Option<ErrorEvent>>,
}

impl Trouble {
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

impl Default for Told {
    fn default() -> Self {
        Self {
            stop: watch::Sender::new(Stop::No),
            ahead: watch::Sender::new(0),
            trouble: watch::Sender::new(None),
            places: 0,
        }
    }
}
