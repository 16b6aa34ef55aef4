//! A secret that opens a server, which never shows itself.

use std::fmt;

use crate::UpstreamError;

/// An API key. It has no `Display`, its `Debug` shows nothing of it, and a server that repeats it in an error is censored.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(String);

impl ApiKey {
    /// Takes a key as the user wrote it, without the spaces around it.
    ///
    /// # Errors
    /// [`UpstreamError::Key`] if it is empty or has anything but visible ASCII.
    pub fn new(key: &str) -> Result<Self, UpstreamError> {
        let key = key.trim();
        if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(UpstreamError::Key);
        }
        Ok(Self(key.to_owned()))
    }

    /// The key itself, for the one header that carries it.
    pub(crate) fn secret(&self) -> &str {
        &self.0
    }

    /// A server's words without the key, should they repeat it.
    pub(crate) fn censor(&self, words: &str) -> String {
        words.replace(&self.0, "[API key]")
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ApiKey(hidden)")
    }
}
