//! The errors of a frame or a body. All of them are `invalid_request` on the wire.

use thiserror::Error;

use crate::ErrorCode;

/// Why a frame or a body was refused; the message names the key.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ProtocolError {
    /// The text begins with U+FEFF.
    #[error("the text starts with a byte order mark")]
    ByteOrderMark,
    /// The text is not JSON, or not an object where one is expected.
    #[error("not a valid JSON object: {reason}")]
    Malformed {
        /// What the parser found, with line and column.
        reason: String,
    },
    /// The value of one key is not JSON, or has an unexpected structure.
    #[error("key {key:?} is not readable: {reason}")]
    MalformedValue {
        /// The key, shortened.
        key: String,
        /// What the parser found, with line and column.
        reason: String,
    },
    /// A frame of an unknown type.
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
    /// A required key is missing.
    #[error("key {key:?} is missing")]
    MissingKey {
        /// The key.
        key: &'static str,
    },
    /// One key occurs twice in an object.
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
    /// Two keys that exclude each other, and were both given.
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
        /// The value that was sent, shortened.
        found: String,
    },
}

impl ProtocolError {
    /// Returns the error's code on the wire.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        ErrorCode::InvalidRequest
    }
}

/// Returns the beginning of a client's text, short enough for an error message.
pub(crate) fn shortened(text: &str) -> String {
    /// Enough to recognise a key or a value by.
    const SHOWN_CHARS: usize = 48;
    cut(text, SHOWN_CHARS)
}

/// Returns the beginning of a parser's reason, which may quote a value of any length.
pub(crate) fn shortened_reason(error: &serde_json::Error) -> String {
    /// Enough for the reason itself, without a quoted megabyte.
    const SHOWN_CHARS: usize = 160;
    cut(&error.to_string(), SHOWN_CHARS)
}

fn cut(text: &str, shown_chars: usize) -> String {
    match text.char_indices().nth(shown_chars) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
