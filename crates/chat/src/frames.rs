//! Converts stored events and the engine's results to wire types.
//!
//! Pure: a row or a result goes in, a frame or a wire type comes out.

use conversation_store::Event;
use jiff::Timestamp;
use jiff::fmt::temporal::DateTimePrinter;
use protocol::{Done, Envelope, FinishReason, ServerEvent, Timings, Token, Usage, frame};

/// Returns a logged event as the text frame that a socket sends.
#[must_use]
pub fn logged_frame(conversation_id: &str, event: &Event) -> String {
    frame(&event.kind, &event.json, &envelope(conversation_id, event))
}

/// Joins consecutive `token` events into one frame, for a reader that is behind: their text, `firstSeq` and the last
/// `seq`.
///
/// Returns `None` unless all events are tokens of one turn with consecutive numbers; they are then sent one by one.
#[must_use]
pub fn joined_tokens(conversation_id: &str, events: &[Event]) -> Option<String> {
    let (first, last) = (events.first()?, events.last()?);
    let follows = |pair: &[Event]| pair[1].seq == pair[0].seq + 1;
    let alike = events
        .iter()
        .all(|event| event.kind == "token" && event.turn_id == first.turn_id);
    if !alike || !events.windows(2).all(follows) {
        return None;
    }
    let mut joined = Token {
        token: String::new(),
        first_seq: (events.len() > 1).then_some(first.seq),
    };
    for event in events {
        joined
            .token
            .push_str(&serde_json::from_str::<Token>(&event.json).ok()?.token);
    }
    Some(ServerEvent::Token(joined).frame(&envelope(conversation_id, last)))
}

/// Formats a time in milliseconds since 1970 as RFC 3339, UTC, with milliseconds.
#[must_use]
pub fn rfc3339(at_ms: i64) -> String {
    /// Milliseconds, always all three digits.
    const PRINTER: DateTimePrinter = DateTimePrinter::new().precision(Some(3));
    let time = Timestamp::from_millisecond(at_ms).unwrap_or(if at_ms < 0 { Timestamp::MIN } else { Timestamp::MAX });
    PRINTER.timestamp_to_string(&time)
}

fn envelope(conversation_id: &str, event: &Event) -> Envelope {
    Envelope {
        seq: Some(event.seq),
        conversation_id: Some(conversation_id.to_owned()),
        turn_id: event.turn_id.clone(),
        at: Some(rfc3339(event.at_ms)),
    }
}

/// Converts the end of an engine's answer to the wire's `done`.
pub(crate) fn done(finished: &engine::Finished) -> Done {
    let usage = finished.usage;
    let timings = finished.timings;
    Done {
        finish_reason: match finished.reason {
            engine::FinishReason::Stop => FinishReason::Stop,
            engine::FinishReason::Length => FinishReason::Length,
            engine::FinishReason::Cancelled => FinishReason::Cancelled,
        },
        usage: Usage {
            prompt_tokens: usage.prompt_tokens,
            cached_tokens: usage.cached_tokens,
            completion_tokens: usage.completion_tokens,
            sink_tokens: usage.sink_tokens,
            window_tokens: usage.window_tokens,
            evicted_tokens: usage.evicted_tokens,
            context_limit: usage.context_limit,
        },
        timings: Timings {
            queue_ms: thousandths(timings.queue_ms),
            prefill_ms: thousandths(timings.prefill_ms),
            first_token_ms: thousandths(timings.first_token_ms),
            decode_ms: thousandths(timings.decode_ms),
            tokens_per_second: thousandths(timings.tokens_per_second),
        },
    }
}

/// Rounds milliseconds to a clock's precision, microseconds; infinities and NaN, which JSON lacks, become 0.
fn thousandths(value: f64) -> f64 {
    if value.is_finite() {
        (value * 1000.0).round() / 1000.0
    } else {
        0.0
    }
}
