//! Checks a peer's bytes before actix-ws gets them: a handshake in, checked messages or the violated rule out.
//!
//! actix-ws buffers a whole frame before it looks at its size, and closes with 1002 whatever is wrong. So it is given
//! only bytes that a [`Checker`] has passed; at the first that violates a rule its stream ends, and [`Incoming`] tells
//! which rule that was.
//!
//! Before the check actix-http buffers at most 288 KiB of a peer: the payload that waits (up to 32 KiB and one read
//! more) and the next read, of 128 KiB each. What comes after the end it reads and discards, for at most a second after
//! the close frame.

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

use crate::api_error::ApiError;

/// An upgraded request: its response, and both directions of the socket.
pub(super) struct Upgraded {
    pub(super) response: HttpResponse,
    pub(super) session: Session,
    pub(super) incoming: Incoming,
}

/// A peer's messages, in order, whole, and within the bounds.
pub(super) struct Incoming {
    messages: AggregatedMessageStream,
    violation: ViolationCell,
}

/// Why no more messages come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RecvError {
    /// The peer violated a rule.
    Violation(Violation),
    /// The connection ended.
    Lost,
}

/// Where the check leaves the violation that it found.
type ViolationCell = Rc<Cell<Option<Violation>>>;

/// Upgrades a request, with the check in front.
///
/// # Errors
/// The request is not a WebSocket handshake.
pub(super) async fn upgrade(
    request: &HttpRequest,
    body: web::Payload,
    bounds: Bounds,
) -> Result<Upgraded, actix_web::Error> {
    let violation = ViolationCell::default();
    let checked = CheckedPayload {
        payload: Some(body.into_inner()),
        checker: Checker::new(bounds),
        violation: Rc::clone(&violation),
    };
    let mut checked: dev::Payload = dev::Payload::Stream {
        payload: Box::pin(checked),
    };
    let body = web::Payload::from_request(request, &mut checked).await?;
    let (response, session, messages) = actix_ws::handle_with_protocols(request, body, &[SUBPROTOCOL])
        .map_err(|error| ApiError::new(ErrorCode::InvalidRequest, format!("not a WebSocket handshake: {error}")))?;
    // The same bounds again: the defaults of actix-ws are smaller.
    let message_bytes = usize::try_from(bounds.message_bytes).unwrap_or(usize::MAX);
    let messages = messages
        .max_frame_size(message_bytes)
        .aggregate_continuations()
        .max_continuation_size(message_bytes);
    Ok(Upgraded {
        response,
        session,
        incoming: Incoming { messages, violation },
    })
}

impl Incoming {
    /// Waits for the next message. What was sent before a violation still comes.
    pub(super) async fn recv(&mut self) -> Result<AggregatedMessage, RecvError> {
        match self.messages.recv().await {
            Some(Ok(message)) => Ok(message),
            // The check passes nothing that actix-ws refuses; if it refuses all the same, it can't go on.
            Some(Err(error)) => {
                tracing::warn!(%error, "a frame that was checked is refused");
                Err(RecvError::Lost)
            }
            None => Err(self.violation.get().map_or(RecvError::Lost, RecvError::Violation)),
        }
    }
}

/// The bytes of a peer up to the first violation.
struct CheckedPayload {
    /// `None` once the stream has ended; later bytes are ignored.
    payload: Option<dev::Payload>,
    checker: Checker,
    violation: ViolationCell,
}

impl Stream for CheckedPayload {
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
        let checked_bytes = match self.checker.check(&bytes, Instant::now()) {
            Checked::All => return Poll::Ready(Some(Ok(bytes))),
            Checked::Closed(checked_bytes) => checked_bytes,
            Checked::Broken(checked_bytes, violation) => {
                self.violation.set(Some(violation));
                checked_bytes
            }
        };
        self.payload = None;
        bytes.truncate(checked_bytes);
        Poll::Ready(Some(Ok(bytes)))
    }
}
