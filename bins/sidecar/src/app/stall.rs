//! Ends a connection whose peer takes nothing of what waits for it: a connection in, a deadline of the system's on it.
//!
//! actix asks for no more of an answer while a peer takes nothing, and waits for as long as the peer likes: so the system is told.
//! A peer for which nothing waits may be silent.

use std::any::Any;
use std::time::Duration;

/// Sets the deadline, where the system has one.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn bound(connection: &dyn Any, stall: Duration) {
    let Some(stream) = connection.downcast_ref::<actix_web::rt::net::TcpStream>() else {
        return;
    };
    if let Err(error) = socket2::SockRef::from(stream).set_tcp_user_timeout(Some(stall)) {
        tracing::debug!(%error, "a connection has no deadline for a peer that takes nothing");
    }
}

/// Other systems wait for as long as the peer likes; what it costs is bounded by the number of connections.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn bound(_: &dyn Any, _: Duration) {}
