//! How long a client may take, and how many may come: what keeps slow and idle connections from holding the sidecar.

use std::time::Duration;

/// Limits of plain HTTP; a socket has its own once it is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpLimits {
    /// From the connection to the end of its first request's head; then 408, and the connection ends. actix times no later head; what
    /// such a connection costs is bounded by their number.
    pub head: Duration,
    /// From the head to the end of the body, or between two pieces of an import; then 408.
    pub body: Duration,
    /// Between two requests on one connection.
    pub idle: Duration,
    /// For the other end to take something of what waits for it, where the system can tell (Linux); then the connection ends.
    pub stall: Duration,
    /// For the other end to close its half after an answer that ends the connection.
    pub goodbye: Duration,
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
            // Above the 60 s after which usual proxies drop an idle connection: they, not we, decide, and so meet no closed one.
            idle: Duration::from_secs(75),
            // Twice what the writer of a socket waits, which then closes it with a code.
            stall: Duration::from_secs(60),
            // A round trip to the other side of the world, lost once.
            goodbye: Duration::from_secs(2),
            // Every socket that there may be, and room for as many requests again as a busy page makes.
            connections: crate::socket::MAX_SOCKETS + 2_048,
        }
    }
}
