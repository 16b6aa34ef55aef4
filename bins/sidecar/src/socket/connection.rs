//! One socket's life: first frame, commands, pings, end.
//!
//! The loop reads the peer until something ends it, says why with a close frame, and settles what becomes of the turns that
//! the socket owns. What a command does is in `commands`.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use actix_web::rt::task::JoinHandle;
use actix_ws::{AggregatedMessage, AggregatedMessageStream, CloseCode, CloseReason, ProtocolError, Session};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout};

use super::Seat;
use super::binding::Binding;
use super::draining::Drain;
use super::follow::Follower;
use super::outbound::{Frame, Outbound, Written, queue};
use super::owners::TurnRef;
use crate::state::State;

/// The close codes of this layer; those of faults are `ErrorCode::close_code`.
const HELLO_TIMEOUT: u16 = 4408;

/// Pings in a row that a peer may leave unanswered before it counts as gone: one may be lost in a laptop's short sleep.
const SILENT_PERIODS: u32 = 2;

/// How long a peer may take to answer our close frame: it has nothing else left to do.
const CLOSE_ANSWER: Duration = Duration::from_secs(5);

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

/// Why a socket ends.
#[derive(Debug, PartialEq)]
pub(super) enum End {
    /// The peer closed it, with this code.
    Closed(u16),
    /// It broke, or fell silent: nothing can be said any more.
    Lost,
    /// The peer takes nothing any more; the writer has said so.
    Stuck,
    /// We close it.
    Refused(u16, String),
    /// The sidecar stops.
    Stopping,
}

impl End {
    /// Whether the client said goodbye, rather than lost the socket.
    fn is_goodbye(&self) -> bool {
        /// Normal closure, and a close frame without a code.
        const GOODBYES: [u16; 2] = [1000, 1005];
        matches!(self, Self::Closed(code) if GOODBYES.contains(code))
    }
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
    pub(super) async fn run(mut self, mut messages: AggregatedMessageStream, drain: Drain) {
        let end = self.serve(&mut messages, drain).await;
        tracing::debug!(socket = self.seat.id, ?end, "socket ends");
        if end == End::Stopping {
            self.ending.send_replace(true);
            // A peer that reads on learns how its turns ended; one that doesn't may resume.
            let last_frames = self.following.drain().map(|(_, follower)| follower.finished());
            let _ = timeout(CLOSE_ANSWER, futures_util::future::join_all(last_frames)).await;
        }
        self.following.clear();
        self.settle(&end).await;
        self.say_goodbye(end, &mut messages).await;
    }

    async fn serve(&mut self, messages: &mut AggregatedMessageStream, mut drain: Drain) -> End {
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
    async fn take(&mut self, message: Option<Result<AggregatedMessage, ProtocolError>>) -> Result<(), End> {
        match message {
            Some(Ok(AggregatedMessage::Text(text))) => self.obey(&text).await,
            Some(Ok(AggregatedMessage::Ping(bytes))) => {
                // A writer that is gone is noticed in the loop.
                let _ = self.outbound.send(Frame::Pong(bytes)).await;
                Ok(())
            }
            Some(Ok(AggregatedMessage::Pong(_))) => Ok(()),
            Some(Ok(AggregatedMessage::Binary(_))) => Err(End::Refused(
                CloseCode::Unsupported.into(),
                "frames are text".to_owned(),
            )),
            Some(Ok(AggregatedMessage::Close(reason))) => {
                let code = reason.map_or(NO_CODE, |reason| reason.code.into());
                Err(End::Closed(code))
            }
            Some(Err(error)) => Err(end_of(&error)),
            None => Err(End::Lost),
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

    /// Sends the close frame, and waits a moment for the peer's, so that the peer reads ours before the connection ends.
    async fn say_goodbye(self, end: End, messages: &mut AggregatedMessageStream) {
        let (reason, answered) = match end {
            End::Closed(NO_CODE) => (None, true),
            End::Closed(code) if is_sendable(code) => (Some(CloseCode::from(code).into()), true),
            End::Closed(_) => (Some(CloseCode::Protocol.into()), true),
            End::Refused(code, why) => (Some(CloseReason::from((CloseCode::from(code), why))), false),
            End::Stopping => (
                Some(CloseReason::from((CloseCode::Away, "the sidecar is stopping"))),
                false,
            ),
            End::Lost | End::Stuck => return,
        };
        let close = async {
            if self.outbound.send(Frame::Close(reason)).await.is_err() || answered {
                return;
            }
            while let Some(Ok(message)) = messages.recv().await {
                if matches!(message, AggregatedMessage::Close(_)) {
                    return;
                }
            }
        };
        // A peer that doesn't answer has been told all the same.
        let _ = timeout(CLOSE_ANSWER, close).await;
    }
}

/// What a close frame without a code counts as.
const NO_CODE: u16 = 1005;

/// Whether a peer may send this code in a close frame (RFC 6455, section 7.4).
fn is_sendable(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

/// How a broken stream of frames ends the socket.
fn end_of(error: &ProtocolError) -> End {
    let refuse = |code: CloseCode, why: &str| End::Refused(code.into(), why.to_owned());
    match error {
        ProtocolError::Overflow => refuse(CloseCode::Size, "the frame is too big"),
        ProtocolError::Io(error) => match error.kind() {
            io::ErrorKind::InvalidData => refuse(CloseCode::Invalid, "the text is not UTF-8"),
            io::ErrorKind::Other if error.to_string() == TOO_MANY_PIECES => {
                refuse(CloseCode::Size, "the message is too big")
            }
            _ => End::Lost,
        },
        _ => refuse(CloseCode::Protocol, "not a WebSocket frame"),
    }
}

/// How actix-ws 0.4 says that the pieces of a message exceed its limit; it has no variant for it.
const TOO_MANY_PIECES: &str = "Exceeded maximum continuation size";
