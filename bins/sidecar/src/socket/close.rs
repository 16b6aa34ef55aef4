//! How a socket ends: the reason, and the handshake of close frames.

use std::time::Duration;

use actix_ws::{CloseCode, CloseReason};
use tokio::time::timeout;

use super::incoming::{Incoming, RecvError};
use super::outbound::{Outbound, OutboundFrame};

/// How long a peer may take to answer our close frame: it has nothing else left to do.
pub(super) const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// The code that a close frame without one counts as.
pub(super) const NO_CODE: u16 = 1005;

/// Why a socket ends.
#[derive(Debug, PartialEq)]
pub(super) enum End {
    /// The peer closed it, with this code.
    Closed(u16),
    /// The connection broke or fell silent: nothing can be sent any more.
    Lost,
    /// The peer stopped reading; the writer has sent the close frame.
    Stalled,
    /// The sidecar closes it, with this code and reason.
    Refused(u16, String),
    /// The sidecar stops.
    Stopping,
}

impl From<RecvError> for End {
    fn from(ended: RecvError) -> Self {
        match ended {
            RecvError::Lost => Self::Lost,
            RecvError::Violation(violation) => {
                let (code, why) = violation.close();
                Self::Refused(code, why.to_owned())
            }
        }
    }
}

impl End {
    /// Converts a close frame of the peer.
    pub(super) fn closed(reason: Option<CloseReason>) -> Self {
        Self::Closed(reason.map_or(NO_CODE, |reason| reason.code.into()))
    }

    /// Returns true if the client closed on purpose, rather than lost the socket.
    pub(super) fn is_normal_close(&self) -> bool {
        /// Normal closure, and a close frame without a code.
        const NORMAL_CODES: [u16; 2] = [1000, NO_CODE];
        matches!(self, Self::Closed(code) if NORMAL_CODES.contains(code))
    }

    /// Sends the close frame, and waits a moment for the peer's, so that the peer reads ours before the connection
    /// ends.
    pub(super) async fn close(self, outbound: &Outbound, incoming: &mut Incoming) {
        let (reason, peer_closed) = match self {
            Self::Closed(NO_CODE) => (None, true),
            // `Incoming` lets no code through that may not be sent back.
            Self::Closed(code) => (Some(CloseCode::from(code).into()), true),
            Self::Refused(code, why) => (Some(CloseReason::from((CloseCode::from(code), why))), false),
            Self::Stopping => (
                Some(CloseReason::from((CloseCode::Away, "the sidecar is stopping"))),
                false,
            ),
            Self::Lost | Self::Stalled => return,
        };
        let close = async {
            if outbound.send(OutboundFrame::Close(reason)).await.is_err() || peer_closed {
                return;
            }
            while let Ok(message) = incoming.recv().await {
                if matches!(message, actix_ws::AggregatedMessage::Close(_)) {
                    return;
                }
            }
        };
        // The close frame was sent, whether the peer answers it or not.
        let _ = timeout(CLOSE_TIMEOUT, close).await;
    }
}
