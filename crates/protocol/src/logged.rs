//! Checks events of an imported log, so that they can be joined to frames without being parsed again.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};

use crate::ProtocolError;
use crate::error::{shortened, shortened_reason};

/// The keys of a frame's envelope: an event that had them too could pass for another.
const ENVELOPE: [&str; 5] = ["type", "seq", "conversationId", "turnId", "at"];

/// The longest name of an event: twice the longest known one.
const MAX_KIND_BYTES: usize = 32;

/// Checks an event's name and its own fields, which [`crate::frame`] joins.
///
/// Refuses names that no later version would use, and fields that aren't one JSON object on one line (server-sent
/// events are cut at each line end) or that have a key of the envelope.
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

/// An object of which only the keys are parsed.
struct OwnFields {
    /// The first key that belongs to the envelope.
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
