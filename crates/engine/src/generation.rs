//! The two ends of an answer: the engine's [`Emitter`] and the reader's [`Generation`], with a bounded channel between.
//!
//! Asking to cancel is graceful: the engine stops before its next step and still sends `Finished`, whose ids are what the
//! cache holds. Dropping the [`Generation`] stops it as well, but then the turn never happened: the engine goes back to
//! where it was before, or forgets the conversation.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Notify, mpsc};

use crate::EngineEvent;

/// Makes the two ends of one answer; `capacity` events fit between them.
///
/// # Panics
/// If `capacity` is 0.
#[must_use]
pub fn channel(capacity: usize) -> (Emitter, Generation) {
    let (sender, receiver) = mpsc::channel(capacity);
    let canceller = Canceller::new();
    let emitter = Emitter {
        sender,
        canceller: canceller.clone(),
    };
    (emitter, Generation { receiver, canceller })
}

/// The reader's end of an answer.
#[derive(Debug)]
pub struct Generation {
    receiver: mpsc::Receiver<EngineEvent>,
    canceller: Canceller,
}

impl Generation {
    /// Waits for the next event; `None` after the last one, or when the engine is gone.
    pub async fn next(&mut self) -> Option<EngineEvent> {
        self.receiver.recv().await
    }

    /// Waits for the next event on a thread that may block. Not for asynchronous code.
    pub fn blocking_next(&mut self) -> Option<EngineEvent> {
        self.receiver.blocking_recv()
    }

    /// A handle that cancels this answer, also from elsewhere.
    #[must_use]
    pub fn canceller(&self) -> Canceller {
        self.canceller.clone()
    }
}

/// Cancels one answer.
#[derive(Debug, Clone)]
pub struct Canceller {
    shared: Arc<Cancellation>,
}

/// The flag is the truth, for engines that look between two steps; the bell wakes those that wait.
#[derive(Debug, Default)]
struct Cancellation {
    asked: AtomicBool,
    bell: Notify,
}

impl Canceller {
    fn new() -> Self {
        Self { shared: Arc::default() }
    }

    /// Asks the engine to finish the answer as it is. Its `Finished` event still arrives.
    pub fn cancel(&self) {
        self.shared.asked.store(true, Ordering::Release);
        self.shared.bell.notify_waiters();
    }
}

/// An event that was not sent, given back.
#[derive(Debug)]
pub enum NotSent {
    /// The reader is behind: sit out the step and try again.
    Full(Box<EngineEvent>),
    /// The reader is gone.
    Closed,
}

/// The engine's end of an answer.
#[derive(Debug, Clone)]
pub struct Emitter {
    sender: mpsc::Sender<EngineEvent>,
    canceller: Canceller,
}

impl Emitter {
    /// Sends an event without ever waiting.
    ///
    /// # Errors
    /// Gives the event back when the channel is full, or says that the reader is gone.
    pub fn try_send(&self, event: EngineEvent) -> Result<(), NotSent> {
        self.sender.try_send(event).map_err(|error| match error {
            TrySendError::Full(event) => NotSent::Full(Box::new(event)),
            TrySendError::Closed(_) => NotSent::Closed,
        })
    }

    /// Sends an event, waiting for room; for engines whose every answer has a thread or task of its own.
    ///
    /// # Errors
    /// [`NotSent::Closed`] when the reader is gone.
    pub async fn send(&self, event: EngineEvent) -> Result<(), NotSent> {
        self.sender.send(event).await.map_err(|_| NotSent::Closed)
    }

    /// As [`Emitter::send`], on a thread that may block.
    ///
    /// # Errors
    /// [`NotSent::Closed`] when the reader is gone.
    pub fn blocking_send(&self, event: EngineEvent) -> Result<(), NotSent> {
        self.sender.blocking_send(event).map_err(|_| NotSent::Closed)
    }

    /// Whether the reader asked to stop gracefully.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.canceller.shared.asked.load(Ordering::Acquire)
    }

    /// Waits until the reader asks to stop gracefully, for ever if it doesn't; for engines that wait for bytes meanwhile.
    pub async fn cancelled(&self) {
        // Registered before the flag is read: a bell that rings between the two is heard.
        let mut rung = std::pin::pin!(self.canceller.shared.bell.notified());
        rung.as_mut().enable();
        if !self.is_cancelled() {
            rung.await;
        }
    }

    /// Whether the reader is gone.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Waits until the reader is gone.
    pub async fn closed(&self) {
        self.sender.closed().await;
    }

    /// How many more events fit at this moment.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.sender.capacity()
    }
}
