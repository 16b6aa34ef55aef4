//! The API key of a server, which no output shows.

use std::fmt;

use crate::UpstreamError;

/// An API key. It has no `Display`, its `Debug` hides it, and it is redacted in a server's error messages.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(String);

impl ApiKey {
    /// Takes a key as the user wrote it, without surrounding spaces.
    ///
    /// # Errors
    /// [`UpstreamError::Key`] if it is empty or has other characters than visible ASCII.
    pub fn new(key: &str) -> Result<Self, UpstreamError> {
        let key = key.trim();
        if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(UpstreamError::Key);
        }
        Ok(Self(key.to_owned()))
    }

    /// Returns the key itself, for the one header that holds it.
    pub(crate) fn secret(&self) -> &str {
        &self.0
    }

    /// Replaces the key wherever it occurs in a text.
    pub(crate) fn redact(&self, text: &str) -> String {
        text.replace(&self.0, "[API key]")
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ApiKey(hidden)")
    }
}
