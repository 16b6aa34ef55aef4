//! One socket's life: first frame, commands, pings, end.
//!
//! The loop reads the peer until something ends it, says why with a close frame, and settles what becomes of the turns that
//! the socket owns. What a command does is in `commands`.

use std::collections::HashMap;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use actix_web::rt::task::JoinHandle;
use actix_ws::{AggregatedMessage, CloseCode, Session};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout};

use super::Seat;
use super::binding::Binding;
use super::draining::Drain;
use super::ending::{CLOSE_ANSWER, End};
use super::follow::Follower;
use super::guard::{Ended, Incoming};
use super::outbound::{Frame, Outbound, Written, queue};
use super::owners::TurnRef;
use crate::state::State;

/// The close codes of this layer; those of faults are `ErrorCode::close_code`.
const HELLO_TIMEOUT: u16 = 4408;

/// Pings in a row that a peer may leave unanswered before it counts as gone: one may be lost in a laptop's short sleep.
const SILENT_PERIODS: u32 = 2;

/// A socket and everything that runs for it.
pub(super) struct Connection {
    pub(super) state: Arc<State>,
    pub(super) seat: Seat,
    pub(super) outbound: Outbound,
    pub(super) binding: Binding,
    pub(super) following: HashMap<String, Follower>,
    /// The address that it came from.
    pub(super) client: IpAddr,
    /// The peer has shown the key, or none is set.
    pub(super) authorised: bool,
    /// A first frame was accepted.
    pub(super) greeted: bool,
    /// Tells the readers that their logs have no more to come.
    pub(super) ending: watch::Sender<bool>,
    writer: JoinHandle<Written>,
}

/// What the handshake said of the peer.
pub(super) struct Peer {
    /// Its address.
    pub(super) client: IpAddr,
    /// It has shown the key.
    pub(super) has_key: bool,
}

impl Connection {
    pub(super) fn open(state: Arc<State>, session: Session, seat: Seat, peer: Peer) -> Self {
        let (outbound, queue) = queue(&state.limits);
        let stall = Duration::from_millis(state.limits.write_stall_ms);
        let writer = actix_web::rt::spawn(queue.write_to(session, stall));
        let authorised = peer.has_key || state.access.key.is_none();
        let (binding, following) = (Binding::default(), HashMap::new());
        Self {
            state,
            seat,
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
    pub(super) async fn run(mut self, mut messages: Incoming, drain: Drain) {
        let end = self.serve(&mut messages, drain).await;
        // Kept only from here on, as what a command needs is.
        Box::pin(self.finish(end, messages)).await;
    }

    async fn finish(mut self, end: End, mut messages: Incoming) {
        tracing::debug!(socket = self.seat.id, ?end, "socket ends");
        if end == End::Stopping {
            self.ending.send_replace(true);
            // A peer that reads on learns how its turns ended; one that doesn't may resume.
            let last_frames = self.following.drain().map(|(_, follower)| follower.finished());
            let _ = timeout(CLOSE_ANSWER, futures_util::future::join_all(last_frames)).await;
        }
        self.following.clear();
        self.settle(&end).await;
        end.say(&self.outbound, &mut messages).await;
    }

    async fn serve(&mut self, messages: &mut Incoming, mut drain: Drain) -> End {
        let hello = Duration::from_millis(self.state.limits.hello_timeout_ms);
        let mut hello_over = pin!(sleep_until(Instant::now() + hello));
        let period = self.state.ping_period;
        let mut pings = interval_at(Instant::now() + period, period);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut silent_periods = 0_u32;
        let mut is_writing = true;
        loop {
            tokio::select! {
                message = messages.recv() => {
                    silent_periods = 0;
                    if let Err(end) = self.take(message).await {
                        return end;
                    }
                    if self.greeted && drain.is_over(self) {
                        return End::Stopping;
                    }
                }
                _ = pings.tick() => {
                    silent_periods += 1;
                    if silent_periods >= SILENT_PERIODS {
                        return End::Lost;
                    }
                    // A writer that is gone is noticed below.
                    let _ = self.outbound.send(Frame::Ping).await;
                }
                written = &mut self.writer, if is_writing => {
                    is_writing = false;
                    if matches!(written, Ok(Written::Stalled)) {
                        return End::Stuck;
                    }
                    // The peer's close frame, if it sent one, is still to be read: it says what becomes of its turns.
                }
                () = &mut hello_over, if !self.greeted => {
                    return End::Refused(HELLO_TIMEOUT, format!("no first frame within {} s", hello.as_secs_f32()));
                }
                () = drain.step() => if drain.is_over(self) {
                    return End::Stopping;
                }
            }
        }
    }

    /// Takes one message of the peer.
    async fn take(&mut self, message: Result<AggregatedMessage, Ended>) -> Result<(), End> {
        match message {
            // What a command needs is kept only while it runs: an idle socket holds a tenth of it.
            Ok(AggregatedMessage::Text(text)) => Box::pin(self.obey(&text)).await,
            Ok(AggregatedMessage::Ping(bytes)) => {
                // A writer that is gone is noticed in the loop.
                let _ = self.outbound.send(Frame::Pong(bytes)).await;
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

    /// Decides what becomes of the socket's turns.
    async fn settle(&self, end: &End) {
        let owned = self.state.owners.of(self.seat.id);
        self.state.owners.disown(self.seat.id);
        if end.is_goodbye() {
            self.cancel_all(owned).await;
        }
    }

    /// Stops turns. One that is gone with its conversation is stopped already, and keeps no other from being stopped.
    pub(super) async fn cancel_all(&self, turns: Vec<TurnRef>) {
        for turn in turns {
            if let Err(error) = self.state.cancel(&turn.conversation, &turn.turn_id).await {
                tracing::debug!(conversation = turn.conversation, turn = turn.turn_id, %error, "nothing left to cancel");
                self.state.owners.release(&turn);
            }
        }
    }
}
