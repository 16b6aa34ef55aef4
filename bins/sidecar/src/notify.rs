//! Notifies a service manager (systemd's `sd_notify`): a state in, one datagram to the manager's socket out.
//!
//! Without `NOTIFY_SOCKET` nothing is sent, and a manager that can't be reached is no reason not to serve.

use std::ffi::OsString;

/// A state of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ServiceState {
    /// It serves.
    Ready,
    /// It drains, and will end.
    Stopping,
}

/// Sends states to the service manager, if there is one.
#[derive(Debug)]
pub(crate) struct Notifier {
    socket: Option<OsString>,
}

impl Notifier {
    /// Reads the manager's socket from the environment.
    pub(crate) fn from_environment() -> Self {
        let socket = std::env::var_os("NOTIFY_SOCKET").filter(|socket| !socket.is_empty());
        Self { socket }
    }

    /// Sends a state to the manager; a failure is only logged.
    pub(crate) fn notify(&self, state: ServiceState) {
        let Some(socket) = &self.socket else { return };
        let message = match state {
            ServiceState::Ready => "READY=1",
            ServiceState::Stopping => "STOPPING=1",
        };
        if let Err(error) = send(socket, message) {
            tracing::warn!(?socket, %error, "cannot tell the service manager {message}");
        }
    }
}

/// Sends one datagram; a name that begins with `@` is in Linux' abstract namespace.
#[cfg(target_os = "linux")]
fn send(socket: &std::ffi::OsStr, message: &str) -> std::io::Result<()> {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};
    let address = match socket.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(socket)?,
    };
    UnixDatagram::unbound()?.send_to_addr(message.as_bytes(), &address)?;
    Ok(())
}

/// Does nothing: only Linux has such managers.
#[cfg(not(target_os = "linux"))]
fn send(_socket: &std::ffi::OsStr, _message: &str) -> std::io::Result<()> {
    Ok(())
}
