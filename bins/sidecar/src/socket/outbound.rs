//! Frames on their way out: a bounded queue, and the one task that writes them to the socket.
//!
//! The queue is bounded in frames and in bytes, so a reader that takes nothing costs that much and no more; whoever fills the
//! queue waits, and the log keeps the rest. A write that makes no progress for too long ends the socket with 4413.

use std::sync::Arc;
use std::time::Duration;

use actix_web::web::Bytes;
use actix_ws::{CloseCode, CloseReason, Session};
use protocol::{ErrorCode, Limits};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::timeout;

/// How long a stuck socket is given to take the close frame that says why: enough for a reader that has just woken up.
const LAST_WORD: Duration = Duration::from_secs(5);

/// One thing to write.
#[derive(Debug)]
pub(super) enum Frame {
    /// A text frame.
    Text(String),
    /// A binary frame; a chat sends none.
    #[cfg(feature = "test-harness")]
    Binary(Bytes),
    /// A ping of ours.
    Ping,
    /// The answer to a peer's ping.
    Pong(Bytes),
    /// The close frame, with or without a code; nothing is written after it.
    Close(Option<CloseReason>),
}

/// The queue's end that takes frames; clones fill the same queue.
#[derive(Debug, Clone)]
pub(super) struct Outbound {
    frames: mpsc::Sender<(Frame, OwnedSemaphorePermit)>,
    free_bytes: Arc<Semaphore>,
    max_bytes: u32,
}

/// The queue's end that gives frames.
#[derive(Debug)]
pub(super) struct Queue {
    frames: mpsc::Receiver<(Frame, OwnedSemaphorePermit)>,
}

/// The socket takes nothing any more.
#[derive(Debug)]
pub(super) struct Closed;

/// How the writing ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    /// With a close frame, or because the peer is gone.
    Over,
    /// A write made no progress for too long.
    Stalled,
}

/// Makes a queue with the limits in force.
pub(super) fn queue(limits: &Limits) -> (Outbound, Queue) {
    let (sender, receiver) = mpsc::channel(limits.outbound_frames.max(1) as usize);
    let max_bytes = u32::try_from(limits.outbound_bytes.max(1)).unwrap_or(u32::MAX);
    let free_bytes = Arc::new(Semaphore::new(max_bytes as usize));
    (
        Outbound {
            frames: sender,
            free_bytes,
            max_bytes,
        },
        Queue { frames: receiver },
    )
}

impl Outbound {
    /// Queues a frame, waiting for room.
    pub(super) async fn send(&self, frame: Frame) -> Result<(), Closed> {
        // A frame over the limit of the queue takes all of it: it goes alone.
        let bytes = u32::try_from(frame.len()).unwrap_or(u32::MAX).min(self.max_bytes);
        let permit = tokio::select! {
            permit = Arc::clone(&self.free_bytes).acquire_many_owned(bytes) => permit.map_err(|_| Closed)?,
            () = self.frames.closed() => return Err(Closed),
        };
        self.frames.send((frame, permit)).await.map_err(|_| Closed)
    }

    /// Queues a text frame, waiting for room.
    pub(super) async fn text(&self, text: String) -> Result<(), Closed> {
        self.send(Frame::Text(text)).await
    }
}

impl Frame {
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

impl Queue {
    /// Writes the queue to the socket until a close frame, the end of the queue, or the end of the peer.
    pub(super) async fn write_to(mut self, mut session: Session, stall: Duration) -> Written {
        // The permit lives until its frame is written: the bytes are free again only then.
        while let Some((frame, _permit)) = self.frames.recv().await {
            let is_last = matches!(frame, Frame::Close(_));
            match timeout(stall, write(&mut session, frame)).await {
                Ok(Ok(())) if !is_last => {}
                Ok(_) => return Written::Over,
                Err(_) => {
                    let code = ErrorCode::SlowReader;
                    let reason = CloseReason::from((CloseCode::from(close_code(code)), "the reader is stuck"));
                    actix_web::rt::spawn(timeout(LAST_WORD, session.close(Some(reason))));
                    return Written::Stalled;
                }
            }
        }
        Written::Over
    }
}

async fn write(session: &mut Session, frame: Frame) -> Result<(), actix_ws::Closed> {
    match frame {
        Frame::Text(text) => session.text(text).await,
        #[cfg(feature = "test-harness")]
        Frame::Binary(bytes) => session.binary(bytes).await,
        Frame::Ping => session.ping(b"").await,
        Frame::Pong(bytes) => session.pong(&bytes).await,
        Frame::Close(reason) => session.clone().close(reason).await,
    }
}

/// The code that a socket is closed with for a fault; faults that close no socket of themselves count as our own.
pub(super) fn close_code(code: ErrorCode) -> u16 {
    /// As [`ErrorCode::Internal`].
    const INTERNAL: u16 = 4500;
    code.close_code().unwrap_or(INTERNAL)
}
