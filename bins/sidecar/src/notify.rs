//! What a service manager is told (systemd's `sd_notify`): a state in, one datagram to the socket that it named out.
//!
//! Without `NOTIFY_SOCKET` nobody is told, and a manager that can't be told is no reason not to serve.

use std::ffi::OsString;

/// What the sidecar tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ServiceState {
    /// It serves.
    Ready,
    /// It drains, and will end.
    Stopping,
}

/// Tells the service manager, if there is one.
#[derive(Debug)]
pub(crate) struct Notifier {
    socket: Option<OsString>,
}

impl Notifier {
    /// The manager that the environment names.
    pub(crate) fn from_environment() -> Self {
        let socket = std::env::var_os("NOTIFY_SOCKET").filter(|socket| !socket.is_empty());
        Self { socket }
    }

    /// Tells a state.
    pub(crate) fn tell(&self, state: ServiceState) {
        let Some(socket) = &self.socket else { return };
        let words = match state {
            ServiceState::Ready => "READY=1",
            ServiceState::Stopping => "STOPPING=1",
        };
        if let Err(error) = send(socket, words) {
            tracing::warn!(?socket, %error, "cannot tell the service manager {words}");
        }
    }
}

/// Sends one datagram; a name that begins with `@` lies in Linux' abstract space.
#[cfg(target_os = "linux")]
fn send(socket: &std::ffi::OsStr, words: &str) -> std::io::Result<()> {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};
    let address = match socket.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(socket)?,
    };
    UnixDatagram::unbound()?.send_to_addr(words.as_bytes(), &address)?;
    Ok(())
}

/// Only Linux has such managers.
#[cfg(not(target_os = "linux"))]
fn send(_socket: &std::ffi::OsStr, _words: &str) -> std::io::Result<()> {
    Ok(())
}
