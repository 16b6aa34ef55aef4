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

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use tracing::Instrument;

use crate::access;
use crate::api_error::ApiError;
use crate::phase::Phase;
use crate::state::AppState;
use connection::{Connection, Peer};
use drain::DrainWatch;
use frame_guard::Bounds;
use incoming::Upgraded;

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
