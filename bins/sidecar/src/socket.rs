//! `/ws/chat`: frames in, a conversation's events out.
//!
//! A socket is only a reader of logs with a cursor each, and a sender of commands. No turn lives on it: what it owns is
//! cancelled when the client says goodbye (1000, or no code), and runs on when the socket is merely lost. One task reads
//! the peer, one writes to it, and one follows each conversation; a slow peer slows only its own.

mod binding;
mod commands;
mod connection;
mod follow;
mod outbound;
mod owners;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use protocol::{ErrorCode, SUBPROTOCOL};

pub use owners::Owners;

use crate::state::State;
use crate::status::ApiError;
use connection::Connection;

/// Most open sockets: ten thousand readers with room to spare, and a bound on what they can cost.
const MAX_SOCKETS: usize = 16_384;

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
    if *state.closing.borrow() {
        return Err(ApiError::new(ErrorCode::Draining, "the sidecar is stopping").into());
    }
    let seat = state.sockets.seat()?;
    let (response, session, messages) = actix_ws::handle_with_protocols(&request, body, &[SUBPROTOCOL])
        .map_err(|error| ApiError::new(ErrorCode::InvalidRequest, format!("not a WebSocket handshake: {error}")))?;
    // A wrong key never gets here; one that is absent may still come with the first frame.
    let has_key = request.headers().contains_key(header::AUTHORIZATION);
    let frame_bytes = usize::try_from(state.limits.frame_bytes).unwrap_or(usize::MAX);
    let messages = messages
        .max_frame_size(frame_bytes)
        .aggregate_continuations()
        .max_continuation_size(frame_bytes);
    let connection = Connection::open(state.into_inner(), session, seat, has_key);
    actix_web::rt::spawn(connection.run(messages));
    Ok(response)
}
