//! What stands between a peer's bytes and actix-ws: a handshake in, checked messages or the broken rule out.
//!
//! actix-ws keeps a whole frame before it looks at its size, and closes with 1002 whatever is wrong. So it is given only bytes
//! that `Checker` has passed; at the first that breaks a rule its stream ends, and [`Incoming`] says which rule that was.
//!
//! In front of the guard actix-http holds at most 288 KiB of a peer: the payload that waits (up to 32 KiB and one read more) and
//! the next read, of 128 KiB each. What comes after the end it reads away, for at most a second after the close frame.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Instant;

use actix_web::dev;
use actix_web::error::PayloadError;
use actix_web::web::{self, Bytes};
use actix_web::{FromRequest, HttpRequest, HttpResponse};
use actix_ws::{AggregatedMessage, AggregatedMessageStream, Session};
use frame_guard::{Bounds, Checked, Checker, Violation};
use futures_util::Stream;
use protocol::{ErrorCode, SUBPROTOCOL};

use crate::status::ApiError;

/// An upgraded request: its response, the way out, the way in.
pub(super) struct Opened {
    pub(super) response: HttpResponse,
    pub(super) session: Session,
    pub(super) incoming: Incoming,
}

/// A peer's messages, in order, whole, and within the bounds.
pub(super) struct Incoming {
    messages: AggregatedMessageStream,
    verdict: Verdict,
}

/// Why no message comes any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// The peer broke a rule.
    Broken(Violation),
    /// The connection is over.
    Lost,
}

/// Where the guard leaves what it found.
type Verdict = Rc<Cell<Option<Violation>>>;

/// Upgrades a request, with the guard in front.
///
/// # Errors
/// The request is no WebSocket handshake.
pub(super) async fn open(
    request: &HttpRequest,
    body: web::Payload,
    bounds: Bounds,
) -> Result<Opened, actix_web::Error> {
    let verdict = Verdict::default();
    let guarded = Guarded {
        payload: Some(body.into_inner()),
        checker: Checker::new(bounds),
        verdict: Rc::clone(&verdict),
    };
    let mut guarded: dev::Payload = dev::Payload::Stream {
        payload: Box::pin(guarded),
    };
    let body = web::Payload::from_request(request, &mut guarded).await?;
    let (response, session, messages) = actix_ws::handle_with_protocols(request, body, &[SUBPROTOCOL])
        .map_err(|error| ApiError::new(ErrorCode::InvalidRequest, format!("not a WebSocket handshake: {error}")))?;
    // The guard's own bounds, said once more: actix-ws has smaller ones by itself.
    let message_bytes = usize::try_from(bounds.message_bytes).unwrap_or(usize::MAX);
    let messages = messages
        .max_frame_size(message_bytes)
        .aggregate_continuations()
        .max_continuation_size(message_bytes);
    Ok(Opened {
        response,
        session,
        incoming: Incoming { messages, verdict },
    })
}

impl Incoming {
    /// The next message. What was sent before a broken rule still comes.
    pub(super) async fn recv(&mut self) -> Result<AggregatedMessage, Ended> {
        match self.messages.recv().await {
            Some(Ok(message)) => Ok(message),
            // The guard passes nothing on that actix-ws refuses; if it refuses all the same, it can't go on.
            Some(Err(error)) => {
                tracing::warn!(%error, "a frame that was checked is refused");
                Err(Ended::Lost)
            }
            None => Err(self.verdict.get().map_or(Ended::Lost, Ended::Broken)),
        }
    }
}

/// The bytes of a peer as far as they keep the rules.
struct Guarded {
    /// None after the end: whatever still comes is for nobody.
    payload: Option<dev::Payload>,
    checker: Checker,
    verdict: Verdict,
}

impl Stream for Guarded {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(payload) = &mut self.payload else {
            return Poll::Ready(None);
        };
        let mut bytes = match Pin::new(payload).poll_next(context) {
            Poll::Ready(Some(Ok(bytes))) => bytes,
            // An error would overtake the messages before it; how the connection ended makes no difference.
            Poll::Ready(Some(Err(_)) | None) => {
                self.payload = None;
                return Poll::Ready(None);
            }
            Poll::Pending => return Poll::Pending,
        };
        let good = match self.checker.check(&bytes, Instant::now()) {
            Checked::All => return Poll::Ready(Some(Ok(bytes))),
            Checked::Closed(good) => good,
            Checked::Broken(good, violation) => {
                self.verdict.set(Some(violation));
                good
            }
        };
        self.payload = None;
        bytes.truncate(good);
        Poll::Ready(Some(Ok(bytes)))
    }
}
