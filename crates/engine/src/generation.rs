//! The two ends of an answer: the engine's [`Emitter`] and the reader's [`Generation`], joined by a bounded channel.
//!
//! Cancelling is graceful: the engine stops before its next step and still sends `Finished`, whose ids are what the
//! cache holds. Dropping the [`Generation`] also stops the engine, but undoes the turn: the engine restores its state
//! from before the turn, or forgets the conversation.

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio_util::sync::CancellationToken;

use crate::EngineEvent;

/// Creates the two ends of one answer; the channel between them holds up to `capacity` events.
///
/// # Panics
/// If `capacity` is 0.
#[must_use]
pub fn channel(capacity: usize) -> (Emitter, Generation) {
    let (sender, receiver) = mpsc::channel(capacity);
    let cancellation = CancellationToken::new();
    let emitter = Emitter {
        sender,
        cancellation: cancellation.clone(),
    };
    let generation = Generation { receiver, cancellation };
    (emitter, generation)
}

/// The reader's end of an answer.
#[derive(Debug)]
pub struct Generation {
    receiver: mpsc::Receiver<EngineEvent>,
    cancellation: CancellationToken,
}

impl Generation {
    /// Waits for the next event; returns `None` after the last one, or if the engine has ended.
    pub async fn next(&mut self) -> Option<EngineEvent> {
        self.receiver.recv().await
    }

    /// Waits for the next event, blocking the thread. Must not be called from asynchronous code.
    pub fn blocking_next(&mut self) -> Option<EngineEvent> {
        self.receiver.blocking_recv()
    }

    /// Returns a handle that cancels this answer, from any task or thread.
    #[must_use]
    pub fn canceller(&self) -> Canceller {
        Canceller(self.cancellation.clone())
    }
}

/// Cancels one answer. Clones cancel the same answer.
#[derive(Debug, Clone)]
pub struct Canceller(CancellationToken);

impl Canceller {
    /// Asks the engine to end the answer where it is. The `Finished` event still arrives.
    pub fn cancel(&self) {
        self.0.cancel();
    }
}

/// Why an event was not sent.
#[derive(Debug)]
pub enum SendError {
    /// The channel is full; holds the event, which the engine may send again after skipping a step.
    Full(Box<EngineEvent>),
    /// The reader was dropped.
    Closed,
}

/// The engine's end of an answer.
#[derive(Debug, Clone)]
pub struct Emitter {
    sender: mpsc::Sender<EngineEvent>,
    cancellation: CancellationToken,
}

impl Emitter {
    /// Sends an event without waiting.
    ///
    /// # Errors
    /// [`SendError::Full`] with the event if the channel is full, [`SendError::Closed`] if the reader was dropped.
    pub fn try_send(&self, event: EngineEvent) -> Result<(), SendError> {
        self.sender.try_send(event).map_err(|error| match error {
            TrySendError::Full(event) => SendError::Full(Box::new(event)),
            TrySendError::Closed(_) => SendError::Closed,
        })
    }

    /// Sends an event, waiting for capacity; for engines that run each answer in a thread or task of its own.
    ///
    /// # Errors
    /// [`SendError::Closed`] if the reader was dropped.
    pub async fn send(&self, event: EngineEvent) -> Result<(), SendError> {
        self.sender.send(event).await.map_err(|_| SendError::Closed)
    }

    /// Sends an event as [`Emitter::send`] does, blocking the thread.
    ///
    /// # Errors
    /// [`SendError::Closed`] if the reader was dropped.
    pub fn blocking_send(&self, event: EngineEvent) -> Result<(), SendError> {
        self.sender.blocking_send(event).map_err(|_| SendError::Closed)
    }

    /// Returns true if the answer was cancelled.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.cancellation.is_cancelled()
    }

    /// Waits until the answer is cancelled, without end if it isn't; for engines that wait for bytes meanwhile.
    pub async fn cancelled(&self) {
        self.cancellation.cancelled().await;
    }

    /// Returns true if the reader was dropped.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Waits until the reader is dropped.
    pub async fn closed(&self) {
        self.sender.closed().await;
    }

    /// Returns how many more events fit into the channel at this moment.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.sender.capacity()
    }
}
