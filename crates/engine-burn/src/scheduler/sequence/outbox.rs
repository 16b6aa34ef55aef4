//! The events of a sequence on their way to its reader. Never waits for the reader.

use std::collections::VecDeque;

use engine::{Emitter, EngineEvent, SendError};

use crate::detokenizer::Piece;
use crate::scheduler::queue_position::QueuePosition;

/// A sequence's events that are not sent yet, and the channel to its reader.
#[derive(Debug)]
pub(super) struct Outbox {
    emitter: Emitter,
    position: QueuePosition,
    /// Those of one step at most.
    events: VecDeque<EngineEvent>,
}

/// How far sending got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sending {
    /// All events are sent.
    Done,
    /// The channel is full.
    Full,
    /// The reader has dropped the answer.
    Closed,
}

impl Outbox {
    pub(super) fn new(emitter: Emitter, position: QueuePosition) -> Self {
        Self {
            emitter,
            position,
            events: VecDeque::new(),
        }
    }

    /// Returns true if no event waits for the reader.
    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Returns true if the reader has cancelled the answer.
    pub(super) fn is_cancelled(&self) -> bool {
        self.emitter.is_cancelled()
    }

    /// Returns true if the reader has dropped the answer.
    pub(super) fn is_closed(&self) -> bool {
        self.emitter.is_closed()
    }

    /// Reports at once how many sequences must end before this one begins.
    pub(super) fn report_queue_position(&mut self, ahead: usize) {
        self.position.report(&self.emitter, ahead);
    }

    pub(super) fn push(&mut self, event: EngineEvent) {
        self.events.push_back(event);
    }

    /// Adds a piece of the answer, if there is one.
    pub(super) fn push_piece(&mut self, piece: Option<Piece>) {
        if let Some(Piece { text, ids }) = piece {
            self.push(EngineEvent::Token { text, ids });
        }
    }

    /// Sends the events that the channel has room for. Calls `publish` before it sends the last event of the answer.
    pub(super) fn send(&mut self, publish: impl Fn()) -> Sending {
        while let Some(event) = self.events.pop_front() {
            if self.emitter.is_closed() {
                return Sending::Closed;
            }
            // Only this thread sends, so an event that fits now still fits below.
            if self.emitter.capacity() == 0 {
                self.events.push_front(event);
                return Sending::Full;
            }
            if matches!(event, EngineEvent::Finished(_) | EngineEvent::Failed(_)) {
                publish();
            }
            match self.emitter.try_send(event) {
                Ok(()) => {}
                Err(SendError::Full(event)) => {
                    self.events.push_front(*event);
                    return Sending::Full;
                }
                Err(SendError::Closed) => return Sending::Closed,
            }
        }
        Sending::Done
    }
}
