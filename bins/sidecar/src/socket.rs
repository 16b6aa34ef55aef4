//! `/ws/chat`: commands in, a conversation's events out.
//!
//! A socket only reads logs, with a cursor each, and sends commands. No turn depends on it: the turns that it owns are
//! cancelled when the client closes normally (1000, or no code), and run on when the socket is merely lost. One task
//! reads the peer, one writes to it, and one follows each conversation; a slow peer slows only its own.

mod binding;
mod close;
mod commands;
mod connection;
mod drain;
#[cfg(feature = "test-harness")]
pub mod echo;
mod follow;
mod incoming;
mod notifications;
mod outbound;
mod owners;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use protocol::ErrorCode;
use tracing::Instrument;

pub use owners::TurnOwners;

use crate::access;
use crate::phase::Phase;
use crate::state::AppState;
use crate::status::ApiError;
use connection::{Connection, Peer};
use drain::DrainWatch;
use frame_guard::Bounds;
use incoming::Upgraded;

/// Most open sockets: ten thousand readers with room to spare, and a bound on what they can cost.
pub const MAX_SOCKETS: usize = 16_384;

/// The number of open sockets in this process, up to [`MAX_SOCKETS`].
#[derive(Debug, Default)]
pub struct Sockets {
    open: AtomicUsize,
    next_id: AtomicU64,
}

impl Sockets {
    /// Returns how many are open.
    #[must_use]
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Acquire)
    }

    /// Counts one more, until the permit is dropped.
    ///
    /// # Errors
    /// `busy` at the limit.
    pub(crate) fn acquire(self: &Arc<Self>) -> Result<ConnectionPermit, ApiError> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let permit = ConnectionPermit {
            sockets: Arc::clone(self),
            id,
        };
        if self.open.fetch_add(1, Ordering::AcqRel) < MAX_SOCKETS {
            return Ok(permit);
        }
        Err(ApiError::new(
            ErrorCode::Busy,
            format!("{MAX_SOCKETS} sockets are open, which is the limit"),
        ))
    }
}

/// One counted socket, or reader of server-sent events.
#[derive(Debug)]
pub(crate) struct ConnectionPermit {
    sockets: Arc<Sockets>,
    id: owners::SocketId,
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.sockets.open.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Upgrades a request to a socket.
///
/// # Errors
/// `busy` with too many sockets, `draining` during a stop, or an invalid handshake.
pub async fn upgrade(
    request: HttpRequest,
    body: web::Payload,
    state: web::Data<AppState>,
) -> Result<HttpResponse, actix_web::Error> {
    // During a drain a client that lost its socket may come back for the end of its turn.
    if state.phase() == Phase::Stopping {
        return Err(ApiError::draining().into());
    }
    let client = access::client_ip(&request);
    state.access.count_start(client)?;
    let permit = state.sockets.acquire()?;
    // A wrong key never gets here; a missing one may still come with the first frame.
    let has_key = request.headers().contains_key(header::AUTHORIZATION);
    let bounds = Bounds {
        message_bytes: state.limits.frame_bytes,
    };
    let Upgraded {
        response,
        session,
        incoming,
    } = incoming::upgrade(&request, body, bounds).await?;
    // Before the peer knows that it has a socket: one that it has when a drain begins is not a new one.
    let drain = DrainWatch::new(&state);
    let peer = Peer { client, has_key };
    let connection = Connection::open(state.into_inner(), session, permit, peer);
    let span = tracing::info_span!("socket", socket = connection.permit.id);
    actix_web::rt::spawn(connection.run(incoming, drain).instrument(span));
    Ok(response)
}
