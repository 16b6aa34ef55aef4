//! Who answers what is said to narrators, as `RELAY` names it.

use std::path::PathBuf;

/// Who answers what is said to narrators.
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
    /// Reads the setting, or says what was expected.
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
