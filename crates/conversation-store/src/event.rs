//! An event of a conversation's log, as it is appended and as it is read.

/// An event that is to be appended to a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// The event's type on the wire, such as `token`; opaque here.
    pub kind: String,
    /// When it happened, in milliseconds since 1970.
    pub at_ms: i64,
    /// The event's own fields as one JSON object; opaque here.
    pub json: String,
}

impl NewEvent {
    /// Makes an event of that kind, at that time in milliseconds since 1970.
    pub fn new(kind: impl Into<String>, at_ms: i64, json: impl Into<String>) -> Self {
        Self {
            kind: kind.into(),
            at_ms,
            json: json.into(),
        }
    }

    /// Returns what it adds to a command's size.
    pub(crate) fn bytes(&self) -> usize {
        self.kind.len() + self.json.len()
    }
}

/// An event of a log, committed and numbered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its number in its conversation's log: 1, 2, 3 … without a gap.
    pub seq: u64,
    /// The event's type on the wire.
    pub kind: String,
    /// The turn that it belongs to, by the id that clients know.
    pub turn_id: Option<String>,
    /// When it happened, in milliseconds since 1970.
    pub at_ms: i64,
    /// The event's own fields as one JSON object, the same bytes as were appended.
    pub json: String,
}

/// The numbers that one append was given: `first..=last`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeqRange {
    /// The number of its first event.
    pub first: u64,
    /// The number of its last event; equal to `first` for a single one.
    pub last: u64,
}
