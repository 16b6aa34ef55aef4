//! The condition of an `If-Match` header: write only what was read.

use crate::{Agent, AgentStoreError};

/// What must be stored for a write to happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// `*`: any agent of that id.
    Exists,
    /// An agent with one of these hashes.
    HashIsOneOf(Vec<String>),
}

impl Condition {
    /// Reads the header's value: `*`, or entity tags with commas between them.
    ///
    /// A weak tag (`W/"…"`) is read and never matches, as RFC 9110, section 13.1.1 has it.
    ///
    /// # Errors
    /// [`AgentStoreError::InvalidCondition`] for anything else.
    pub fn parse_if_match(header: &str) -> Result<Self, AgentStoreError> {
        if header.trim() == "*" {
            return Ok(Self::Exists);
        }
        let invalid = || AgentStoreError::InvalidCondition {
            header: header.chars().take(200).collect(),
        };
        let mut hashes = Vec::new();
        for tag in header.split(',').map(str::trim) {
            let (weak, quoted) = match tag.strip_prefix("W/") {
                Some(quoted) => (true, quoted),
                None => (false, tag),
            };
            let hash = quoted
                .strip_prefix('"')
                .and_then(|rest| rest.strip_suffix('"'))
                .ok_or_else(invalid)?;
            if hash.contains('"') {
                return Err(invalid());
            }
            if !weak {
                hashes.push(hash.to_owned());
            }
        }
        Ok(Self::HashIsOneOf(hashes))
    }

    /// Says whether what is stored fulfils it.
    pub(crate) fn holds_for(&self, stored: Option<&Agent>) -> bool {
        match self {
            Self::Exists => stored.is_some(),
            Self::HashIsOneOf(hashes) => stored.is_some_and(|agent| hashes.contains(&agent.hash)),
        }
    }
}
