//! Logged events in, text frames out.
//!
//! A reader that keeps up gets every event as a frame of its own; for one that lags, runs of tokens are joined. No
//! event is dropped, and the order stays. Pure: nothing here reads or sends.

#[cfg(test)]
mod tests;

use chat::{joined_tokens, logged_frame};
use conversation_store::Event;

/// With more events than this waiting, the reader lags: a token takes milliseconds to generate, so a reader that keeps
/// up finds a handful at most.
const LAG_EVENTS: usize = 32;

/// Most bytes of tokens, as they are logged, in one frame: enough to catch up fast, few enough to be drawn at once.
const JOINED_BYTES: usize = 8 * 1024;

/// A text frame, and how far into the log it reaches.
#[derive(Debug)]
pub(crate) struct LogFrame {
    /// The `seq` of its last event.
    pub last_seq: u64,
    /// The type of its events.
    pub kind: String,
    /// The frame itself.
    pub text: String,
}

/// Returns the text frames of consecutive events, in order.
pub(crate) fn frames(conversation: &str, events: &[Event]) -> Vec<LogFrame> {
    let alone = |event: &Event| LogFrame {
        last_seq: event.seq,
        kind: event.kind.clone(),
        text: logged_frame(conversation, event),
    };
    if events.len() <= LAG_EVENTS {
        return events.iter().map(alone).collect();
    }
    let mut frames = Vec::new();
    let mut rest = events;
    while !rest.is_empty() {
        let (run, after) = rest.split_at(run_length(rest));
        match (joined_tokens(conversation, run), run.last()) {
            (Some(text), Some(last)) if run.len() > 1 => frames.push(LogFrame {
                last_seq: last.seq,
                kind: last.kind.clone(),
                text,
            }),
            _ => frames.extend(run.iter().map(alone)),
        }
        rest = after;
    }
    frames
}

/// Returns how many events, from the first one on, may be sent as one frame; at least 1.
fn run_length(events: &[Event]) -> usize {
    let first = &events[0];
    let mut bytes = 0;
    let fits = |event: &&Event| {
        bytes += event.json.len();
        event.kind == "token" && event.turn_id == first.turn_id && bytes <= JOINED_BYTES
    };
    events.iter().take_while(fits).count().max(1)
}
