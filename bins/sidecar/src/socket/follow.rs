//! Reads one conversation's log for one socket: events in, from a cursor on, text frames out.
//!
//! The log is the truth; its tail says that there is more, and saves a read while the socket keeps up. Waiting for a slow peer happens here and nowhere else: what it
//! hasn't taken stays in the log.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use actix_web::rt::task::JoinHandle;
use actix_ws::{CloseCode, CloseReason};
use conversation_store::{ConversationStore, Event, StoreError};
use protocol::{Envelope, ErrorEvent, ServerEvent};

use super::outbound::{Closed, Frame, Outbound, close_code};
use super::owners::{Owners, TurnRef};
use tokio::sync::watch;

use crate::log_frame::{LogFrame, frames};
use crate::status::ApiError;

/// Events read from the log at a time.
const READ_EVENTS: usize = 256;

/// A running reader; dropping it stops it.
#[derive(Debug)]
pub(super) struct Follower {
    task: JoinHandle<()>,
    position: Arc<AtomicU64>,
}

impl Follower {
    /// The last `seq` that it has sent; what follows is still to come.
    pub(super) fn position(&self) -> u64 {
        self.position.load(Ordering::Acquire)
    }

    /// Whether it has stopped by itself, as one of a deleted conversation does.
    pub(super) fn is_over(&self) -> bool {
        self.task.is_finished()
    }

    /// Waits until it has stopped by itself.
    pub(super) async fn finished(mut self) {
        // How a task ended that nobody needs any more is of no interest.
        let _ = (&mut self.task).await;
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What a reader needs.
#[derive(Clone)]
pub(super) struct Reading {
    pub(super) store: ConversationStore,
    pub(super) outbound: Outbound,
    pub(super) owners: Arc<Owners>,
    /// Turns true when the socket has nothing left to wait for: a reader then ends with its log.
    pub(super) ending: watch::Receiver<bool>,
}

impl Reading {
    /// Starts to read `seq > after` of a conversation that exists.
    pub(super) fn start(self, conversation: String, after: u64) -> Follower {
        let position = Arc::new(AtomicU64::new(after));
        let reached = Arc::clone(&position);
        let task = actix_web::rt::spawn(async move {
            if let Err(Stopped::Store(error)) = self.read(&conversation, &reached).await {
                self.say_why(&conversation, error).await;
            }
        });
        Follower { task, position }
    }

    async fn read(&self, conversation: &str, position: &AtomicU64) -> Result<(), Stopped> {
        // The tail is made before the first read, so that nothing falls between the two.
        let mut tail = self.store.tail(conversation);
        let mut ending = self.ending.clone();
        loop {
            let after = position.load(Ordering::Acquire);
            let events = self.store.followed(&tail, after, READ_EVENTS).await?;
            if events.is_empty() {
                // The turns have ended before: the log has no more to come.
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
                // Frame by frame: whoever stops a reader that waits for its peer must know what it has not said.
                position.store(last_seq, Ordering::Release);
            }
        }
    }

    /// A turn that is over has no owner.
    fn release_ended(&self, conversation: &str, events: &[Event]) {
        for event in events
            .iter()
            .filter(|event| matches!(event.kind.as_str(), "done" | "error"))
        {
            if let Some(turn_id) = event.turn_id.clone() {
                self.owners.release(&TurnRef {
                    conversation: conversation.to_owned(),
                    turn_id,
                });
            }
        }
    }

    /// Tells the peer why nothing more comes. A log that can't be read ends the socket: a new one may have more luck.
    async fn say_why(&self, conversation: &str, error: StoreError) {
        let is_gone = matches!(error, StoreError::Gone { .. });
        let fault = ApiError::from(error);
        let envelope = Envelope {
            conversation_id: Some(conversation.to_owned()),
            ..Envelope::default()
        };
        let event = ServerEvent::Error(ErrorEvent::new(fault.code, fault.detail.clone()));
        let told = self.outbound.text(event.frame(&envelope)).await;
        if told.is_ok() && !is_gone {
            let reason = CloseReason::from((CloseCode::from(close_code(fault.code)), fault.detail));
            // A peer that is gone needs no reason.
            let _ = self.outbound.send(Frame::Close(Some(reason))).await;
        }
    }
}

/// Why a reader stopped.
enum Stopped {
    Store(StoreError),
    Socket,
}

impl From<StoreError> for Stopped {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Closed> for Stopped {
    fn from(_: Closed) -> Self {
        Self::Socket
    }
}
