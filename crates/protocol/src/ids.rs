//! Checks ids that clients choose. An agent's id has a rule of its own, in agent-store, as it is a file name.

use crate::ProtocolError;
use crate::error::shortened;

/// Longest conversation or turn id: room for a UUID with a prefix, and short enough for a log line.
pub(crate) const MAX_ID_BYTES: usize = 128;

/// Checks a conversation id: `[A-Za-z0-9][A-Za-z0-9._-]{0,127}`, without `..`.
///
/// # Errors
/// [`ProtocolError::WrongValue`] naming `conversationId`.
pub fn check_conversation_id(id: &str) -> Result<(), ProtocolError> {
    check_id("conversationId", id)
}

/// Checks a turn id by the same rule as a conversation id.
///
/// # Errors
/// [`ProtocolError::WrongValue`] naming `turnId`.
pub fn check_turn_id(id: &str) -> Result<(), ProtocolError> {
    check_id("turnId", id)
}

pub(crate) fn check_id(key: &'static str, id: &str) -> Result<(), ProtocolError> {
    let starts_well = id.starts_with(|first: char| first.is_ascii_alphanumeric());
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if starts_well && id.len() <= MAX_ID_BYTES && id.bytes().all(allowed) && !id.contains("..") {
        return Ok(());
    }
    let expected =
        format!("1 to {MAX_ID_BYTES} letters, digits, '.', '_' or '-', beginning with a letter or digit, without '..'");
    Err(ProtocolError::WrongValue {
        key,
        expected,
        found: format!("{:?}", shortened(id)),
    })
}
