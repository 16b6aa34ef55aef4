//! Frames on their way out: a bounded queue, and the one task that writes them to the socket.
//!
//! The queue is bounded in frames and in bytes, so a peer that takes nothing costs that much and no more; a sender
//! waits for room, and the log keeps the rest. A write that makes no progress for too long ends the socket with 4413.

use std::sync::Arc;
use std::time::Duration;

use actix_web::web::Bytes;
use actix_ws::{CloseCode, CloseReason, Session};
use protocol::{ErrorCode, Limits};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::timeout;

use crate::codes::close_code;

/// How long a stalled socket may take to read the close frame with the reason: enough for a reader that has just woken
/// up.
const FINAL_CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// One frame to write.
#[derive(Debug)]
pub(super) enum OutboundFrame {
    /// A text frame.
    Text(String),
    /// A binary frame; a chat sends none.
    #[cfg(feature = "test-harness")]
    Binary(Bytes),
    /// A ping of ours.
    Ping,
    /// The response to a peer's ping.
    Pong(Bytes),
    /// The close frame, with or without a code; nothing is written after it.
    Close(Option<CloseReason>),
}

/// The sending half of the queue; clones send into the same queue.
#[derive(Debug, Clone)]
pub(super) struct Outbound {
    frames: mpsc::Sender<(OutboundFrame, OwnedSemaphorePermit)>,
    free_bytes: Arc<Semaphore>,
    max_bytes: u32,
}

/// The receiving half of the queue.
#[derive(Debug)]
pub(super) struct OutboundQueue {
    frames: mpsc::Receiver<(OutboundFrame, OwnedSemaphorePermit)>,
}

/// The socket takes no more frames.
#[derive(Debug)]
pub(super) struct Closed;

/// How the writer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WriterEnd {
    /// With a close frame, or because the peer is gone.
    Closed,
    /// A write made no progress for too long.
    Stalled,
}

/// Makes a queue with the configured limits.
pub(super) fn outbound_queue(limits: &Limits) -> (Outbound, OutboundQueue) {
    let (sender, receiver) = mpsc::channel(limits.outbound_frames.max(1) as usize);
    let max_bytes = u32::try_from(limits.outbound_bytes.max(1)).unwrap_or(u32::MAX);
    let free_bytes = Arc::new(Semaphore::new(max_bytes as usize));
    (
        Outbound {
            frames: sender,
            free_bytes,
            max_bytes,
        },
        OutboundQueue { frames: receiver },
    )
}

impl Outbound {
    /// Queues a frame, waiting for room.
    ///
    /// # Errors
    /// The writer has ended.
    pub(super) async fn send(&self, frame: OutboundFrame) -> Result<(), Closed> {
        // A frame larger than the queue takes all of it: it is queued alone.
        let bytes = u32::try_from(frame.len()).unwrap_or(u32::MAX).min(self.max_bytes);
        let permit = tokio::select! {
            permit = Arc::clone(&self.free_bytes).acquire_many_owned(bytes) => permit.map_err(|_| Closed)?,
            () = self.frames.closed() => return Err(Closed),
        };
        self.frames.send((frame, permit)).await.map_err(|_| Closed)
    }

    /// Queues a text frame, waiting for room.
    ///
    /// # Errors
    /// The writer has ended.
    pub(super) async fn text(&self, text: String) -> Result<(), Closed> {
        self.send(OutboundFrame::Text(text)).await
    }
}

impl OutboundFrame {
    fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            #[cfg(feature = "test-harness")]
            Self::Binary(bytes) => bytes.len(),
            Self::Pong(bytes) => bytes.len(),
            Self::Ping | Self::Close(_) => 0,
        }
    }
}

impl OutboundQueue {
    /// Writes the queue to the socket until a close frame, the end of the queue, or the end of the peer.
    pub(super) async fn write_to(mut self, mut session: Session, stall: Duration) -> WriterEnd {
        // The permit lives until its frame is written: the bytes are free again only then.
        while let Some((frame, _permit)) = self.frames.recv().await {
            let is_last = matches!(frame, OutboundFrame::Close(_));
            match timeout(stall, write(&mut session, frame)).await {
                Ok(Ok(())) if !is_last => {}
                Ok(_) => return WriterEnd::Closed,
                Err(_) => {
                    let code = ErrorCode::SlowReader;
                    let reason = CloseReason::from((CloseCode::from(close_code(code)), "the reader is stuck"));
                    actix_web::rt::spawn(timeout(FINAL_CLOSE_TIMEOUT, session.close(Some(reason))));
                    return WriterEnd::Stalled;
                }
            }
        }
        WriterEnd::Closed
    }
}

async fn write(session: &mut Session, frame: OutboundFrame) -> Result<(), actix_ws::Closed> {
    match frame {
        OutboundFrame::Text(text) => session.text(text).await,
        #[cfg(feature = "test-harness")]
        OutboundFrame::Binary(bytes) => session.binary(bytes).await,
        OutboundFrame::Ping => session.ping(b"").await,
        OutboundFrame::Pong(bytes) => session.pong(&bytes).await,
        OutboundFrame::Close(reason) => session.clone().close(reason).await,
    }
}
