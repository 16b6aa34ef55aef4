//! Ends connections whose peer acknowledges nothing: a connection in, an operating-system timeout set on it.
//!
//! actix stops asking for more of a response while a peer takes nothing, and would wait without end, so the timeout is
//! the operating system's. A peer with nothing left to receive may be silent.

use std::any::Any;
use std::time::Duration;

/// Sets the timeout, where the operating system has one.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn set(connection: &dyn Any, timeout: Duration) {
    let Some(stream) = connection.downcast_ref::<actix_web::rt::net::TcpStream>() else {
        return;
    };
    if let Err(error) = socket2::SockRef::from(stream).set_tcp_user_timeout(Some(timeout)) {
        tracing::debug!(%error, "a connection has no deadline for a peer that takes nothing");
    }
}

/// Does nothing: other systems wait without end, and what that costs is bounded by the number of connections.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn set(_: &dyn Any, _: Duration) {}
