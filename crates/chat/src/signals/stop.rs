//! The signal that stops a turn, from its queue to its run.

use tokio::sync::watch;

/// Whether a turn should go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StopSignal {
    /// The turn goes on.
    Run,
    /// A client cancelled the turn.
    Cancel,
    /// The process is about to end.
    Shutdown,
}

/// The sending end of a turn's stop signal.
#[derive(Debug)]
pub(crate) struct StopSender {
    sender: watch::Sender<StopSignal>,
}

/// The receiving end of a turn's stop signal. Clones have received the same signals.
#[derive(Debug, Clone)]
pub(crate) struct StopReceiver {
    receiver: watch::Receiver<StopSignal>,
}

impl StopSender {
    /// Returns a receiver of the signals that are sent from now on.
    pub(crate) fn subscribe(&self) -> StopReceiver {
        StopReceiver {
            receiver: self.sender.subscribe(),
        }
    }

    /// Asks the turn to end as cancelled, unless it was asked to stop before.
    pub(crate) fn cancel(&self) {
        self.sender.send_if_modified(|signal| {
            let runs = *signal == StopSignal::Run;
            if runs {
                *signal = StopSignal::Cancel;
            }
            runs
        });
    }

    /// Asks the turn to end because the process is about to, in place of any earlier signal.
    pub(crate) fn shut_down(&self) {
        self.sender.send_replace(StopSignal::Shutdown);
    }
}

impl Default for StopSender {
    fn default() -> Self {
        Self {
            sender: watch::Sender::new(StopSignal::Run),
        }
    }
}

impl StopReceiver {
    /// Waits for the next signal. A sender that is gone means shutdown. Cancel safe.
    pub(crate) async fn changed(&mut self) -> StopSignal {
        match self.receiver.changed().await {
            Ok(()) => *self.receiver.borrow_and_update(),
            Err(_) => StopSignal::Shutdown,
        }
    }

    /// Returns true if the last signal was a shutdown, even if [`StopReceiver::changed`] has returned it before.
    pub(crate) fn is_shutdown(&self) -> bool {
        *self.receiver.borrow() == StopSignal::Shutdown
    }
}
