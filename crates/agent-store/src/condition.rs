//! The condition of an `If-Match` header: write only what was read.

use crate::{Agent, AgentStoreError};

/// What lies between the elements of a list (RFC 9110, section 5.6.1).
const BETWEEN: [char; 3] = [',', ' ', '\t'];

/// What must be stored for a write to happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// `*`: any agent of that id.
    Exists,
    /// An agent with one of these hashes.
    HashIsOneOf(Vec<String>),
}

impl Condition {
    /// Reads the header's value: `*`, or entity tags with commas between them. A list may have empty places, or nothing at all.
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
        let mut rest = header.trim_start_matches(BETWEEN);
        while !rest.is_empty() {
            let (is_weak, quoted) = match rest.strip_prefix("W/") {
                Some(quoted) => (true, quoted),
                None => (false, rest),
            };
            // A comma within the quotes is part of the tag.
            let tag = quoted.strip_prefix('"').and_then(|tag| tag.split_once('"'));
            let (hash, after) = tag.ok_or_else(invalid)?;
            rest = after.trim_start();
            if !(rest.is_empty() || rest.starts_with(',')) {
                return Err(invalid());
            }
            rest = rest.trim_start_matches(BETWEEN);
            if !is_weak {
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
