//! What can be wrong with a frame or a body. All of it is `invalid_request` on the wire.

use thiserror::Error;

use crate::ErrorCode;

/// Why a client's words could not be understood; the message names the key.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ProtocolError {
    /// The text begins with U+FEFF.
    #[error("the text starts with a byte order mark")]
    ByteOrderMark,
    /// The text is not JSON, or not an object where one is due.
    #[error("not a valid JSON object: {reason}")]
    Malformed {
        /// What the parser found, with line and column.
        reason: String,
    },
    /// The text stops being JSON, or has another shape than due, in one key's value.
    #[error("key {key:?} is not readable: {reason}")]
    MalformedValue {
        /// The key, shortened.
        key: String,
        /// What the parser found, with line and column.
        reason: String,
    },
    /// A frame of a type that this server doesn't know.
    #[error("unknown type {name:?}")]
    UnknownType {
        /// The type, shortened.
        name: String,
    },
    /// An option that doesn't exist.
    #[error("unknown option {key:?}")]
    UnknownOption {
        /// The key, shortened.
        key: String,
    },
    /// A key that the frame needs.
    #[error("key {key:?} is missing")]
    MissingKey {
        /// The key.
        key: &'static str,
    },
    /// One key, twice in one object.
    #[error("key {key:?} appears twice")]
    RepeatedKey {
        /// The key.
        key: &'static str,
    },
    /// Two spellings of one key, with different values.
    #[error("keys {first:?} and {second:?} mean the same and have different values")]
    Contradiction {
        /// The spelling that came first.
        first: &'static str,
        /// The other.
        second: &'static str,
    },
    /// Two keys that say different things of the same, and were both given.
    #[error("keys {first:?} and {second:?} exclude each other")]
    Exclusive {
        /// One of them.
        first: &'static str,
        /// The other.
        second: &'static str,
    },
    /// A value of the wrong type, or out of range.
    #[error("key {key:?} must be {expected}, not {found}")]
    WrongValue {
        /// The key, as it was spelled.
        key: &'static str,
        /// What is allowed.
        expected: String,
        /// What was sent, shortened.
        found: String,
    },
}

impl ProtocolError {
    /// The code that the wire says.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        ErrorCode::InvalidRequest
    }
}

/// The beginning of what a client sent, short enough to be said back.
pub(crate) fn shortened(text: &str) -> String {
    /// Enough to recognise a key or a value by.
    const SHOWN_CHARS: usize = 48;
    cut(text, SHOWN_CHARS)
}

/// A parser's reason, which may quote what it found.
pub(crate) fn shortened_reason(error: &serde_json::Error) -> String {
    /// Enough for the reason itself; a quoted megabyte is not.
    const SHOWN_CHARS: usize = 160;
    cut(&error.to_string(), SHOWN_CHARS)
}

fn cut(text: &str, shown_chars: usize) -> String {
    match text.char_indices().nth(shown_chars) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
