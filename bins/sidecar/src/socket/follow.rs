//! Follows one conversation's log for one socket: events in, from a cursor on, text frames out.
//!
//! The log is authoritative; its tail only wakes the reader, and spares a read while the socket keeps up. Only here
//! does anything wait for a slow peer: what it hasn't taken stays in the log.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use actix_web::rt::task::JoinHandle;
use actix_ws::{CloseCode, CloseReason};
use conversation_store::{ConversationStore, Event, StoreError};
use protocol::{Envelope, ErrorEvent, ServerEvent, is_terminal};

use super::outbound::{Closed, Outbound, OutboundFrame};
use tokio::sync::watch;

use crate::api_error::ApiError;
use crate::codes::close_code;
use crate::log_frame::{LogFrame, frames};
use crate::turn_owners::{TurnOwners, TurnRef};

/// Events read from the log at a time.
const READ_EVENTS: usize = 256;

/// A running reader; dropping it stops it.
#[derive(Debug)]
pub(super) struct Follower {
    task: JoinHandle<()>,
    position: Arc<AtomicU64>,
}

impl Follower {
    /// Returns the last `seq` that was sent.
    pub(super) fn position(&self) -> u64 {
        self.position.load(Ordering::Acquire)
    }

    /// Returns true if it has stopped by itself, as the reader of a deleted conversation does.
    pub(super) fn is_over(&self) -> bool {
        self.task.is_finished()
    }

    /// Waits until it has stopped by itself.
    pub(super) async fn finished(mut self) {
        // A finished reader is of no further use, however it ended.
        let _ = (&mut self.task).await;
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The reader of one log, with all that it needs.
#[derive(Clone)]
pub(super) struct LogReader {
    pub(super) store: ConversationStore,
    pub(super) outbound: Outbound,
    pub(super) owners: Arc<TurnOwners>,
    /// Turns true when the socket has nothing left to wait for: a reader then ends with its log.
    pub(super) ending: watch::Receiver<bool>,
}

impl LogReader {
    /// Starts to read `seq > after` of a conversation that exists.
    pub(super) fn start(self, conversation: String, after: u64) -> Follower {
        let position = Arc::new(AtomicU64::new(after));
        let reached = Arc::clone(&position);
        let task = actix_web::rt::spawn(async move {
            if let Err(StopReason::Store(error)) = self.read(&conversation, &reached).await {
                self.send_stop_reason(&conversation, error).await;
            }
        });
        Follower { task, position }
    }

    async fn read(&self, conversation: &str, position: &AtomicU64) -> Result<(), StopReason> {
        // The tail is made before the first read, so that no event is missed between the two.
        let mut tail = self.store.tail(conversation);
        let mut ending = self.ending.clone();
        loop {
            let after = position.load(Ordering::Acquire);
            let events = self.store.read_tail(&tail, after, READ_EVENTS).await?;
            if events.is_empty() {
                // The turns have ended before: no more events will be logged.
                if *ending.borrow_and_update() {
                    return Ok(());
                }
                tokio::select! {
                    changed = tail.changed() => changed?,
                    _ = ending.changed() => {}
                }
                continue;
            }
            self.release_ended(conversation, &events);
            for LogFrame { last_seq, text, .. } in frames(conversation, &events) {
                self.outbound.text(text).await?;
                // Frame by frame: when a reader that waits for its peer is stopped, its position must say what was not
                // sent.
                position.store(last_seq, Ordering::Release);
            }
        }
    }

    /// Releases the turns whose terminal event is among these.
    fn release_ended(&self, conversation: &str, events: &[Event]) {
        for event in events.iter().filter(|event| is_terminal(&event.kind)) {
            if let Some(turn_id) = event.turn_id.clone() {
                self.owners.release(&TurnRef {
                    conversation: conversation.to_owned(),
                    turn_id,
                });
            }
        }
    }

    /// Sends the peer the reason why no more events come. A log that can't be read ends the socket: a new one may
    /// succeed.
    async fn send_stop_reason(&self, conversation: &str, error: StoreError) {
        let is_gone = matches!(error, StoreError::Gone { .. });
        let fault = ApiError::from(error);
        let envelope = Envelope {
            conversation_id: Some(conversation.to_owned()),
            ..Envelope::default()
        };
        let event = ServerEvent::Error(ErrorEvent::new(fault.code, fault.detail.clone()));
        let sent = self.outbound.text(event.frame(&envelope)).await;
        if sent.is_ok() && !is_gone {
            let reason = CloseReason::from((CloseCode::from(close_code(fault.code)), fault.detail));
            // A peer that is gone needs no reason.
            let _ = self.outbound.send(OutboundFrame::Close(Some(reason))).await;
        }
    }
}

/// Why a reader stopped.
enum StopReason {
    Store(StoreError),
    Socket,
}

impl From<StoreError> for StopReason {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Closed> for StopReason {
    fn from(_: Closed) -> Self {
        Self::Socket
    }
}
