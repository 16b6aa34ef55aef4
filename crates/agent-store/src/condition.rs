//! The condition of an `If-Match` header: a write replaces only the version that was read.

use crate::{Agent, AgentStoreError};

/// The characters between the elements of a list (RFC 9110, section 5.6.1).
const SEPARATORS: [char; 3] = [',', ' ', '\t'];

/// What must be stored for a write to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// `*`: any agent of that id.
    Exists,
    /// An agent with one of these hashes.
    HashIsOneOf(Vec<String>),
}

impl Condition {
    /// Parses the header's value: `*`, or entity tags separated by commas. A list may be empty or have empty elements.
    ///
    /// A weak tag (`W/"…"`) is accepted and never matches (RFC 9110, section 13.1.1).
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
        let mut rest = header.trim_start_matches(SEPARATORS);
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
            rest = rest.trim_start_matches(SEPARATORS);
            if !is_weak {
                hashes.push(hash.to_owned());
            }
        }
        Ok(Self::HashIsOneOf(hashes))
    }

    /// Returns true if the stored agent satisfies the condition.
    pub(crate) fn holds_for(&self, stored: Option<&Agent>) -> bool {
        match self {
            Self::Exists => stored.is_some(),
            Self::HashIsOneOf(hashes) => stored.is_some_and(|agent| hashes.contains(&agent.hash)),
        }
    }
}
