//! A conversation's log as server-sent events: from a number on, then live.
//!
//! The stream is pulled: one piece of the log is read when the reader has taken the one before, so a slow reader holds one piece
//! and no more. Nothing of a turn hangs on it; a reader that comes back names the last id that it saw.

use std::convert::Infallible;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::web::Bytes;
use conversation_store::{ConversationStore, StoreError, Tail};
use futures_util::stream::{self, Stream};
use protocol::{Envelope, ErrorEvent, Reset, ServerEvent};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval_at};

use crate::log_frame::frames;
use crate::phase::Phase;
use crate::socket::Seat;
use crate::state::State;
use crate::status::ApiError;

/// The content type that asks for a stream, and that it has.
pub(super) const EVENT_STREAM: &str = "text/event-stream";

/// Events in one piece: what a socket's reader takes at a time.
const READ_EVENTS: usize = 256;

/// Where a stream begins.
pub(super) struct Start {
    pub(super) conversation: String,
    pub(super) after: u64,
    /// The log's end when it was asked for.
    pub(super) last_seq: u64,
}

/// A reader of one log.
struct Reader {
    store: ConversationStore,
    conversation: String,
    position: u64,
    tail: Tail,
    /// Turns true when the sidecar stops: the stream then ends with its log.
    phase: watch::Receiver<Phase>,
    ping_period: Duration,
    /// What is said before anything is read.
    first: Option<String>,
    /// Readers are counted as sockets are, and for the same reason.
    _seat: Seat,
}

/// The streaming answer.
pub(super) fn answer(state: &State, start: Start) -> Result<HttpResponse, ApiError> {
    let about = Envelope {
        conversation_id: Some(start.conversation.clone()),
        ..Envelope::default()
    };
    let reset = ServerEvent::Reset(Reset {
        last_seq: start.last_seq,
    });
    let is_beyond = start.after > start.last_seq;
    let reader = Reader {
        // Made before the first read, so that nothing falls between the two.
        tail: state.store.tail(&start.conversation),
        store: state.store.clone(),
        position: start.after.min(start.last_seq),
        phase: state.phase.clone(),
        ping_period: state.ping_period,
        first: is_beyond.then(|| said(&reset, &about)),
        _seat: Arc::clone(&state.sockets).seat()?,
        conversation: start.conversation,
    };
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, EVENT_STREAM))
        .insert_header((CACHE_CONTROL, "no-store"))
        .streaming(pieces(reader)))
}

fn pieces(reader: Reader) -> impl Stream<Item = Result<Bytes, Infallible>> {
    stream::unfold(Some(reader), |reader| async {
        let mut reader = reader?;
        match reader.piece().await {
            Ok(Some(piece)) => Some((Ok(Bytes::from(piece)), Some(reader))),
            Ok(None) => None,
            Err(error) => Some((Ok(Bytes::from(reader.last_word(error))), None)),
        }
    })
}

impl Reader {
    /// The next piece of the log, or a sign of life; `None` at the end, which only a stop of the sidecar brings.
    async fn piece(&mut self) -> Result<Option<String>, StoreError> {
        if let Some(first) = self.first.take() {
            return Ok(Some(first));
        }
        let mut pings = interval_at(tokio::time::Instant::now() + self.ping_period, self.ping_period);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let events = self.store.followed(&self.tail, self.position, READ_EVENTS).await?;
            if let Some(last) = events.last() {
                self.position = last.seq;
                let mut piece = String::new();
                for frame in frames(&self.conversation, &events) {
                    push(&mut piece, Some(frame.last_seq), &frame.kind, &frame.text);
                }
                return Ok(Some(piece));
            }
            // During a stop the turns have ended before: the log has no more to come.
            if *self.phase.borrow_and_update() == Phase::Stopping {
                return Ok(None);
            }
            tokio::select! {
                changed = self.tail.changed() => changed?,
                _ = self.phase.changed() => {}
                _ = pings.tick() => return Ok(Some(":\n\n".to_owned())),
            }
        }
    }

    /// Why nothing more comes: the conversation was deleted, or can't be read.
    fn last_word(&self, error: StoreError) -> String {
        let fault = ApiError::from(error);
        let about = Envelope {
            conversation_id: Some(self.conversation.clone()),
            ..Envelope::default()
        };
        said(&ServerEvent::Error(ErrorEvent::new(fault.code, fault.detail)), &about)
    }
}

/// An event that no log holds, and that has no id.
fn said(event: &ServerEvent, about: &Envelope) -> String {
    let mut text = String::new();
    push(&mut text, None, event.kind(), &event.frame(about));
    text
}

/// Adds one event. A frame is one line of JSON.
fn push(text: &mut String, id: Option<u64>, kind: &str, frame: &str) {
    if let Some(id) = id {
        // A string takes whatever is written.
        let _ = writeln!(text, "id: {id}");
    }
    let _ = write!(text, "event: {kind}\ndata: {frame}\n\n");
}
