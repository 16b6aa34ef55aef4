//! An agent's id, which is also its file's name: one rule that is safe on every file system.

use std::{borrow::Borrow, fmt, str::FromStr};

const MAX_BYTES: usize = 64;

/// Names that Windows reserves for devices, with any extension.
const DEVICES: [&str; 22] = [
    "con", "prn", "aux", "nul", "com1", "com2", "com3", "com4", "com5", "com6", "com7", "com8", "com9", "lpt1", "lpt2",
    "lpt3", "lpt4", "lpt5", "lpt6", "lpt7", "lpt8", "lpt9",
];

/// A checked id: `[a-z0-9][a-z0-9._-]{0,63}` without `..`, a dot at the end, or a device's name.
///
/// It has no capitals, so no two ids share a file on a file system that ignores case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AgentId(String);

/// Why a text is not an agent id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("agent id {id:?} {rule}")]
pub struct InvalidAgentId {
    /// The text, cut after 64 characters.
    pub id: String,
    /// The rule that it breaks.
    pub rule: &'static str,
}

impl AgentId {
    /// Checks a text.
    ///
    /// # Errors
    /// [`InvalidAgentId`] with the rule that it breaks.
    pub fn parse(text: &str) -> Result<Self, InvalidAgentId> {
        match broken_rule(text) {
            None => Ok(Self(text.to_owned())),
            Some(rule) => Err(InvalidAgentId {
                id: text.chars().take(MAX_BYTES).collect(),
                rule,
            }),
        }
    }

    /// Returns the id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AgentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for AgentId {
    type Err = InvalidAgentId;

    fn from_str(text: &str) -> Result<Self, InvalidAgentId> {
        Self::parse(text)
    }
}

impl AsRef<str> for AgentId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for AgentId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

fn broken_rule(text: &str) -> Option<&'static str> {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    let Some(&first) = bytes.first() else {
        return Some("is empty");
    };
    if bytes.len() > MAX_BYTES {
        return Some("is longer than 64 bytes");
    }
    if !bytes.iter().all(|&byte| is_plain(byte) || b"._-".contains(&byte)) {
        return Some("has a character other than a-z, 0-9, '.', '_' and '-'");
    }
    if !is_plain(first) {
        return Some("does not begin with a-z or 0-9");
    }
    if text.contains("..") {
        return Some("has two dots in a row");
    }
    if text.ends_with('.') {
        return Some("ends in a dot");
    }
    let stem = text.split('.').next().unwrap_or(text);
    DEVICES.contains(&stem).then_some("is the name of a device")
}
