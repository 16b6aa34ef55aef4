//! The `RELAY` setting: text in, the relay that answers for narrators out.

use std::path::PathBuf;

/// The relay that answers for narrators.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RelayChoice {
    /// `chat`: our own agents.
    Chat,
    /// `fake:FILE`: a script, for tests.
    Fake(PathBuf),
    /// `http://…` or `https://…`: another process.
    Http(String),
}

impl RelayChoice {
    /// Parses the setting; the error is what was expected.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let is_http = ["http://", "https://"].iter().any(|scheme| text.starts_with(scheme));
        match text.split_once(':') {
            _ if text.eq_ignore_ascii_case("chat") => Ok(Self::Chat),
            _ if is_http => Ok(Self::Http(text.to_owned())),
            Some(("fake", file)) if !file.is_empty() => Ok(Self::Fake(file.into())),
            _ => Err("expected chat, fake:FILE, or an http:// or https:// address".to_owned()),
        }
    }
}
