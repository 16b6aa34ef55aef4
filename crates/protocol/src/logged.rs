//! Events of a log that was written elsewhere: what may be joined to a frame without being looked at again.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};

use crate::ProtocolError;
use crate::error::{shortened, shortened_reason};

/// What a frame's envelope says: an event that said it too could pass for another.
const ENVELOPE: [&str; 5] = ["type", "seq", "conversationId", "turnId", "at"];

/// The longest name of an event: twice the longest that there is.
const MAX_KIND_BYTES: usize = 32;

/// Checks an event's name and its own fields, as [`crate::frame`] takes them.
///
/// A name that no later version would have is refused, and so are fields that aren't one JSON object on one line (a reader of
/// server-sent events ends a line at each end of one), or that say what the envelope says.
///
/// # Errors
/// [`ProtocolError::WrongValue`], [`ProtocolError::Malformed`].
pub fn check_logged(kind: &str, fields: &str) -> Result<(), ProtocolError> {
    let is_kind = |kind: &str| kind.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    if kind.is_empty() || kind.len() > MAX_KIND_BYTES || !is_kind(kind) {
        return Err(wrong("kind", "the name of an event", kind));
    }
    if fields.contains(['\r', '\n']) {
        return Err(wrong("json", "on one line", fields));
    }
    let own: OwnFields = serde_json::from_str(fields).map_err(|error| ProtocolError::Malformed {
        reason: shortened_reason(&error),
    })?;
    match own.of_envelope {
        None => Ok(()),
        Some(key) => Err(wrong("json", "without what the envelope says", key)),
    }
}

fn wrong(key: &'static str, expected: &str, found: &str) -> ProtocolError {
    ProtocolError::WrongValue {
        key,
        expected: expected.to_owned(),
        found: shortened(found),
    }
}

/// An object of which only the keys are read.
struct OwnFields {
    /// The first of its keys that is the envelope's.
    of_envelope: Option<&'static str>,
}

impl<'de> Deserialize<'de> for OwnFields {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_map(Keys)
    }
}

struct Keys;

impl<'de> Visitor<'de> for Keys {
    type Value = OwnFields;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<OwnFields, A::Error> {
        let mut own = OwnFields { of_envelope: None };
        while let Some(key) = map.next_key::<String>()? {
            let reserved = ENVELOPE.into_iter().find(|reserved| *reserved == key);
            own.of_envelope = own.of_envelope.or(reserved);
            map.next_value::<IgnoredAny>()?;
        }
        Ok(own)
    }
}
