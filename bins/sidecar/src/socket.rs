//! `/ws/chat`: frames in, a conversation's events out.
//!
//! A socket is only a reader of logs with a cursor each, and a sender of commands. No turn lives on it: what it owns is
//! cancelled when the client says goodbye (1000, or no code), and runs on when the socket is merely lost. One task reads
//! the peer, one writes to it, and one follows each conversation; a slow peer slows only its own.

mod binding;
mod commands;
mod connection;
mod draining;
#[cfg(feature = "test-harness")]
pub mod echo;
mod ending;
mod follow;
mod guard;
mod outbound;
mod owners;
mod telling;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use protocol::ErrorCode;
use tracing::Instrument;

pub use owners::Owners;

use crate::access;
use crate::phase::Phase;
use crate::state::State;
use crate::status::ApiError;
use connection::{Connection, Peer};
use draining::Drain;
use frame_guard::Bounds;
use guard::Opened;

/// Most open sockets: ten thousand readers with room to spare, and a bound on what they can cost.
pub const MAX_SOCKETS: usize = 16_384;

/// The sockets of this process, counted.
#[derive(Debug, Default)]
pub struct Sockets {
    open: AtomicUsize,
    next_id: AtomicU64,
}

impl Sockets {
    /// How many are open.
    #[must_use]
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Acquire)
    }

    /// Counts one more, until the seat is dropped.
    pub(crate) fn seat(self: &Arc<Self>) -> Result<Seat, ApiError> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let seat = Seat {
            sockets: Arc::clone(self),
            id,
        };
        if self.open.fetch_add(1, Ordering::AcqRel) < MAX_SOCKETS {
            return Ok(seat);
        }
        Err(ApiError::new(
            ErrorCode::Busy,
            format!("{MAX_SOCKETS} sockets are open, which is the limit"),
        ))
    }
}

/// One counted socket, or reader of server-sent events.
#[derive(Debug)]
pub(crate) struct Seat {
    sockets: Arc<Sockets>,
    id: owners::SocketId,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.sockets.open.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Upgrades a request to a socket.
///
/// # Errors
/// `busy` with too many sockets, `draining` during a stop, and whatever is wrong with the handshake.
pub async fn upgrade(
    request: HttpRequest,
    body: web::Payload,
    state: web::Data<State>,
) -> Result<HttpResponse, actix_web::Error> {
    // During a drain a reader that lost its socket may come back for the end of its turn.
    if state.phase() == Phase::Stopping {
        return Err(ApiError::draining().into());
    }
    let client = access::client(&request);
    state.access.count_use(client)?;
    let seat = state.sockets.seat()?;
    // A wrong key never gets here; one that is absent may still come with the first frame.
    let has_key = request.headers().contains_key(header::AUTHORIZATION);
    let bounds = Bounds {
        message_bytes: state.limits.frame_bytes,
    };
    let Opened {
        response,
        session,
        incoming,
    } = guard::open(&request, body, bounds).await?;
    // Before the peer knows that it has a socket: one that it has when a drain begins is not a new one.
    let drain = Drain::new(&state);
    let peer = Peer { client, has_key };
    let connection = Connection::open(state.into_inner(), session, seat, peer);
    let span = tracing::info_span!("socket", socket = connection.seat.id);
    actix_web::rt::spawn(connection.run(incoming, drain).instrument(span));
    Ok(response)
}
