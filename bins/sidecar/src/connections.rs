//! The number of open sockets and event streams in this process, with a limit.
//!
//! A permit goes out for each, and comes back when it is dropped. What a socket does is not known here.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use protocol::ErrorCode;

use crate::api_error::ApiError;

/// Most open sockets: ten thousand readers with room to spare, and a bound on what they can cost.
pub const MAX_SOCKETS: usize = 16_384;

/// A socket's number in this process.
pub(crate) type SocketId = u64;

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
    /// The number of the socket.
    pub(crate) id: SocketId,
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.sockets.open.fetch_sub(1, Ordering::AcqRel);
    }
}
