//! A conversation's log as server-sent events: from a `seq` on, then live.
//!
//! The stream is pulled: one chunk of the log is read when the client has taken the one before, so a slow client holds
//! one chunk and no more. No turn depends on it; a client that reconnects sends the last id that it saw.

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

use crate::api_error::ApiError;
use crate::connections::ConnectionPermit;
use crate::log_frame::frames;
use crate::phase::Phase;
use crate::state::AppState;

/// The content type by which a client asks for a stream, and which the stream has.
pub(super) const EVENT_STREAM: &str = "text/event-stream";

/// Events in one chunk: as many as a socket's reader takes at a time.
const READ_EVENTS: usize = 256;

/// Where a stream begins.
pub(super) struct StreamStart {
    pub(super) conversation: String,
    pub(super) after: u64,
    /// The log's end when the request arrived.
    pub(super) last_seq: u64,
}

/// The reader of one log.
struct LogStream {
    store: ConversationStore,
    conversation: String,
    position: u64,
    tail: Tail,
    /// The stream ends with its log once the phase is [`Phase::Stopping`].
    phase: watch::Receiver<Phase>,
    ping_period: Duration,
    /// Sent before anything is read.
    first: Option<String>,
    /// Streams count towards the limit of sockets, as each costs as much.
    _permit: ConnectionPermit,
}

/// Starts the streaming response.
///
/// # Errors
/// `busy` with too many sockets and streams.
pub(super) fn respond(state: &AppState, start: StreamStart) -> Result<HttpResponse, ApiError> {
    let about = Envelope {
        conversation_id: Some(start.conversation.clone()),
        ..Envelope::default()
    };
    let reset = ServerEvent::Reset(Reset {
        last_seq: start.last_seq,
    });
    let is_past_end = start.after > start.last_seq;
    let reader = LogStream {
        // Made before the first read, so that no event is missed between the two.
        tail: state.store.tail(&start.conversation),
        store: state.store.clone(),
        position: start.after.min(start.last_seq),
        phase: state.phase.clone(),
        ping_period: state.ping_period,
        first: is_past_end.then(|| unlogged_event(&reset, &about)),
        _permit: Arc::clone(&state.sockets).acquire()?,
        conversation: start.conversation,
    };
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, EVENT_STREAM))
        .insert_header((CACHE_CONTROL, "no-store"))
        .streaming(chunks(reader)))
}

fn chunks(reader: LogStream) -> impl Stream<Item = Result<Bytes, Infallible>> {
    stream::unfold(Some(reader), |reader| async {
        let mut reader = reader?;
        match reader.next_chunk().await {
            Ok(Some(chunk)) => Some((Ok(Bytes::from(chunk)), Some(reader))),
            Ok(None) => None,
            Err(error) => Some((Ok(Bytes::from(reader.error_event(error))), None)),
        }
    })
}

impl LogStream {
    /// Waits for the next chunk of the log, or a keep-alive comment. Returns `None` at the end, which only a stop of
    /// the sidecar brings.
    async fn next_chunk(&mut self) -> Result<Option<String>, StoreError> {
        if let Some(first) = self.first.take() {
            return Ok(Some(first));
        }
        let mut pings = interval_at(tokio::time::Instant::now() + self.ping_period, self.ping_period);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let events = self.store.read_tail(&self.tail, self.position, READ_EVENTS).await?;
            if let Some(last) = events.last() {
                self.position = last.seq;
                let mut chunk = String::new();
                for frame in frames(&self.conversation, &events) {
                    push_event(&mut chunk, Some(frame.last_seq), &frame.kind, &frame.text);
                }
                return Ok(Some(chunk));
            }
            // During a stop the turns have ended before: no more events will be logged.
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

    /// Writes why the stream ends: the conversation was deleted, or can't be read.
    fn error_event(&self, error: StoreError) -> String {
        let fault = ApiError::from(error);
        let about = Envelope {
            conversation_id: Some(self.conversation.clone()),
            ..Envelope::default()
        };
        unlogged_event(&ServerEvent::Error(ErrorEvent::new(fault.code, fault.detail)), &about)
    }
}

/// Writes an event that is in no log, and so has no id.
fn unlogged_event(event: &ServerEvent, about: &Envelope) -> String {
    let mut text = String::new();
    push_event(&mut text, None, event.kind(), &event.frame(about));
    text
}

/// Appends one event. A frame is one line of JSON.
fn push_event(text: &mut String, id: Option<u64>, kind: &str, frame: &str) {
    if let Some(id) = id {
        // Writing to a string doesn't fail.
        let _ = writeln!(text, "id: {id}");
    }
    let _ = write!(text, "event: {kind}\ndata: {frame}\n\n");
}
