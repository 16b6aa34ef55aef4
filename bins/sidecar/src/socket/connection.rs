//! The loop of one socket: first frame, commands, pings, end.
//!
//! It reads the peer until something ends the socket, sends the reason in a close frame, and cancels or releases the
//! turns that the socket owns. What a command does is in `commands`.

use std::collections::HashMap;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use actix_web::rt::task::JoinHandle;
use actix_ws::{AggregatedMessage, CloseCode, Session};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout};

use super::binding::Binding;
use super::close::{CLOSE_TIMEOUT, End};
use super::drain::DrainWatch;
use super::follow::Follower;
use super::incoming::{Incoming, RecvError};
use super::outbound::{Outbound, OutboundFrame, WriterEnd, outbound_queue};
use crate::connections::ConnectionPermit;
use crate::state::AppState;
use crate::turn_owners::TurnRef;

/// The close code of a missing first frame; those of errors are
/// [`ErrorCode::close_code`](protocol::ErrorCode::close_code).
const HELLO_TIMEOUT: u16 = 4408;

/// Pings in a row that a peer may leave unanswered before it counts as lost: one may be lost in a laptop's short sleep.
const SILENT_PERIODS: u32 = 2;

/// A socket and everything that runs for it.
pub(super) struct Connection {
    pub(super) state: Arc<AppState>,
    pub(super) permit: ConnectionPermit,
    pub(super) outbound: Outbound,
    pub(super) binding: Binding,
    pub(super) following: HashMap<String, Follower>,
    /// The peer's address.
    pub(super) client: IpAddr,
    /// True if the peer has presented the key, or none is set.
    pub(super) authorised: bool,
    /// True if a first frame was accepted.
    pub(super) greeted: bool,
    /// True tells the followers that no more events will be logged.
    pub(super) ending: watch::Sender<bool>,
    writer: JoinHandle<WriterEnd>,
}

/// What the handshake tells of the peer.
pub(super) struct Peer {
    /// Its address.
    pub(super) client: IpAddr,
    /// True if it has presented the key.
    pub(super) has_key: bool,
}

impl Connection {
    pub(super) fn open(state: Arc<AppState>, session: Session, permit: ConnectionPermit, peer: Peer) -> Self {
        let (outbound, queue) = outbound_queue(&state.limits);
        let stall = Duration::from_millis(state.limits.write_stall_ms);
        let writer = actix_web::rt::spawn(queue.write_to(session, stall));
        let authorised = peer.has_key || state.access.key.is_none();
        let (binding, following) = (Binding::default(), HashMap::new());
        Self {
            state,
            permit,
            outbound,
            binding,
            following,
            client: peer.client,
            authorised,
            greeted: false,
            ending: watch::Sender::new(false),
            writer,
        }
    }

    /// Serves the socket to its end.
    pub(super) async fn run(mut self, mut messages: Incoming, drain: DrainWatch) {
        let end = self.serve(&mut messages, drain).await;
        // Allocated only for the end, as the state of a command is: an idle socket doesn't hold it.
        Box::pin(self.close(end, messages)).await;
    }

    async fn close(mut self, end: End, mut messages: Incoming) {
        tracing::debug!(socket = self.permit.id, ?end, "socket ends");
        if end == End::Stopping {
            self.ending.send_replace(true);
            // A peer that goes on reading learns how its turns ended; one that doesn't may resume.
            let last_frames = self.following.drain().map(|(_, follower)| follower.finished());
            let _ = timeout(CLOSE_TIMEOUT, futures_util::future::join_all(last_frames)).await;
        }
        self.following.clear();
        self.release_turns(&end).await;
        end.close(&self.outbound, &mut messages).await;
    }

    async fn serve(&mut self, messages: &mut Incoming, mut drain: DrainWatch) -> End {
        let hello = Duration::from_millis(self.state.limits.hello_timeout_ms);
        let mut hello_deadline = pin!(sleep_until(Instant::now() + hello));
        let period = self.state.ping_period;
        let mut pings = interval_at(Instant::now() + period, period);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut silent_periods = 0_u32;
        let mut is_writing = true;
        loop {
            tokio::select! {
                message = messages.recv() => {
                    silent_periods = 0;
                    if let Err(end) = self.handle_message(message).await {
                        return end;
                    }
                    if self.greeted && drain.is_over(|| self.waits_for_turn()) {
                        return End::Stopping;
                    }
                }
                _ = pings.tick() => {
                    silent_periods += 1;
                    if silent_periods >= SILENT_PERIODS {
                        return End::Lost;
                    }
                    // A writer that is gone is noticed below.
                    let _ = self.outbound.send(OutboundFrame::Ping).await;
                }
                written = &mut self.writer, if is_writing => {
                    is_writing = false;
                    if matches!(written, Ok(WriterEnd::Stalled)) {
                        return End::Stalled;
                    }
                    // The peer's close frame, if it sent one, is still to be read: it decides what happens to its
                    // turns.
                }
                () = &mut hello_deadline, if !self.greeted => {
                    return End::Refused(HELLO_TIMEOUT, format!("no first frame within {} s", hello.as_secs_f32()));
                }
                () = drain.changed() => if drain.is_over(|| self.waits_for_turn()) {
                    return End::Stopping;
                }
            }
        }
    }

    /// Handles one message of the peer.
    async fn handle_message(&mut self, message: Result<AggregatedMessage, RecvError>) -> Result<(), End> {
        match message {
            // The state of a command is allocated only while it runs: an idle socket needs a tenth of the memory.
            Ok(AggregatedMessage::Text(text)) => Box::pin(self.handle_text(&text)).await,
            Ok(AggregatedMessage::Ping(bytes)) => {
                // A writer that is gone is noticed in the loop.
                let _ = self.outbound.send(OutboundFrame::Pong(bytes)).await;
                Ok(())
            }
            Ok(AggregatedMessage::Pong(_)) => Ok(()),
            Ok(AggregatedMessage::Binary(_)) => Err(End::Refused(
                CloseCode::Unsupported.into(),
                "frames are text".to_owned(),
            )),
            Ok(AggregatedMessage::Close(reason)) => Err(End::closed(reason)),
            Err(ended) => Err(ended.into()),
        }
    }

    /// Returns true if a turn runs, or waits to run, that this socket owns or follows.
    fn waits_for_turn(&self) -> bool {
        let chat = &self.state.chat;
        let owned = || self.state.owners.owned_by(self.permit.id);
        self.following.keys().any(|conversation| chat.is_live(conversation))
            || owned().iter().any(|turn| chat.is_live(&turn.conversation))
    }

    /// Cancels the socket's turns after a normal close; otherwise they run on without an owner.
    async fn release_turns(&self, end: &End) {
        let owned = self.state.owners.owned_by(self.permit.id);
        self.state.owners.remove_socket(self.permit.id);
        if end.is_normal_close() {
            self.cancel_all(owned).await;
        }
    }

    /// Cancels turns. One whose conversation is deleted has ended already, and doesn't keep others from being
    /// cancelled.
    pub(super) async fn cancel_all(&self, turns: Vec<TurnRef>) {
        for turn in turns {
            if let Err(error) = self.state.cancel(&turn.conversation, &turn.turn_id).await {
                tracing::debug!(conversation = turn.conversation, turn = turn.turn_id, %error, "nothing left to cancel");
                self.state.owners.release(&turn);
            }
        }
    }
}
