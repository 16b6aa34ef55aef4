//! Timeouts and limits of HTTP connections, which keep slow and idle ones from exhausting the sidecar.

use std::time::Duration;

use crate::connections::MAX_SOCKETS;

/// Limits of plain HTTP; an upgraded socket has its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpLimits {
    /// From the connection to the end of its first request's head; then 408, and the connection ends. actix has no
    /// timeout for later heads; what such a connection costs is bounded by `connections`.
    pub head: Duration,
    /// From the head to the end of the body, or between two chunks of an import; then 408.
    pub body: Duration,
    /// Between two requests on one connection.
    pub idle: Duration,
    /// For the peer to acknowledge something of what was sent, where the operating system can tell (Linux); then the
    /// connection ends.
    pub stall: Duration,
    /// For the peer to close its half after a response that ends the connection.
    pub disconnect: Duration,
    /// Connections at once, sockets included; the next one waits to be accepted.
    pub connections: usize,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            // A head is one packet of a program on this machine, and a few of a phone with bad reception.
            head: Duration::from_secs(10),
            // 1 MiB at 35 kB a second: slower than any network that a chat is used over.
            body: Duration::from_secs(30),
            // Above the 60 s after which usual proxies drop an idle connection: the proxy then always closes first, and
            // so never uses a closed one.
            idle: Duration::from_secs(75),
            // Twice the timeout of a socket's writer, which then closes the socket with a code.
            stall: Duration::from_secs(60),
            // A round trip to the other side of the world, lost once.
            disconnect: Duration::from_secs(2),
            // Every socket that may be open, and as many further requests as a busy page makes.
            connections: MAX_SOCKETS + 2_048,
        }
    }
}
