//! How a socket ends: why, what is said, and the handshake of close frames.

use std::time::Duration;

use actix_ws::{CloseCode, CloseReason};
use tokio::time::timeout;

use super::guard::{Ended, Incoming};
use super::outbound::{Frame, Outbound};

/// How long a peer may take to answer our close frame: it has nothing else left to do.
pub(super) const CLOSE_ANSWER: Duration = Duration::from_secs(5);

/// What a close frame without a code counts as.
pub(super) const NO_CODE: u16 = 1005;

/// Why a socket ends.
#[derive(Debug, PartialEq)]
pub(super) enum End {
    /// The peer closed it, with this code.
    Closed(u16),
    /// It broke, or fell silent: nothing can be said any more.
    Lost,
    /// The peer takes nothing any more; the writer has said so.
    Stuck,
    /// We close it.
    Refused(u16, String),
    /// The sidecar stops.
    Stopping,
}

impl From<Ended> for End {
    fn from(ended: Ended) -> Self {
        match ended {
            Ended::Lost => Self::Lost,
            Ended::Broken(violation) => {
                let (code, why) = violation.close();
                Self::Refused(code, why.to_owned())
            }
        }
    }
}

impl End {
    /// A close frame of the peer's.
    pub(super) fn closed(reason: Option<CloseReason>) -> Self {
        Self::Closed(reason.map_or(NO_CODE, |reason| reason.code.into()))
    }

    /// Whether the client said goodbye, rather than lost the socket.
    pub(super) fn is_goodbye(&self) -> bool {
        /// Normal closure, and a close frame without a code.
        const GOODBYES: [u16; 2] = [1000, NO_CODE];
        matches!(self, Self::Closed(code) if GOODBYES.contains(code))
    }

    /// Sends the close frame, and waits a moment for the peer's, so that the peer reads ours before the connection ends.
    pub(super) async fn say(self, outbound: &Outbound, incoming: &mut Incoming) {
        let (reason, answered) = match self {
            Self::Closed(NO_CODE) => (None, true),
            // The guard lets no code through that may not be sent back.
            Self::Closed(code) => (Some(CloseCode::from(code).into()), true),
            Self::Refused(code, why) => (Some(CloseReason::from((CloseCode::from(code), why))), false),
            Self::Stopping => (
                Some(CloseReason::from((CloseCode::Away, "the sidecar is stopping"))),
                false,
            ),
            Self::Lost | Self::Stuck => return,
        };
        let close = async {
            if outbound.send(Frame::Close(reason)).await.is_err() || answered {
                return;
            }
            while let Ok(message) = incoming.recv().await {
                if matches!(message, actix_ws::AggregatedMessage::Close(_)) {
                    return;
                }
            }
        };
        // A peer that doesn't answer has been told all the same.
        let _ = timeout(CLOSE_ANSWER, close).await;
    }
}
