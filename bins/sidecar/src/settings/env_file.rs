//! The `.env.sidecar` file: lines of `NAME=value` in, a source for the `config` crate out.
//!
//! The format is what shells and dotenv readers agree on: blank lines and `#` lines, `export ` in front, single or
//! double quotes, ` # comment` behind a value, LF or CRLF, an optional byte order mark. Variables are not expanded.
//! Names without the prefix belong to other programs and are ignored.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use config::{ConfigError, Map, Source, Value, ValueKind};

use crate::error::SettingsError;

/// The prefix of every setting's name.
pub const PREFIX: &str = "STREAMING_LLM_";

/// Largest file read, in bytes: a hundred times what every setting with a comment needs.
const MAX_FILE_BYTES: u64 = 256 * 1024;

/// The settings of one file, each with the line that it came from.
#[derive(Debug, Clone)]
pub struct EnvFile {
    entries: Vec<EnvEntry>,
}

#[derive(Debug, Clone)]
struct EnvEntry {
    key: String,
    value: String,
    origin: String,
}

impl EnvFile {
    /// Reads a file; `None` if it doesn't exist.
    ///
    /// # Errors
    /// The file can't be read, isn't UTF-8, is too large, or has a line that is not a setting.
    pub fn read(path: &Path) -> Result<Option<Self>, SettingsError> {
        let unreadable = |source| SettingsError::ReadEnvFile {
            path: path.to_owned(),
            source,
        };
        let length = match fs::metadata(path) {
            Ok(metadata) => metadata.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unreadable(error)),
        };
        if length > MAX_FILE_BYTES {
            return Err(unreadable(io::Error::other(format!(
                "{length} bytes are more than {MAX_FILE_BYTES}"
            ))));
        }
        let text = fs::read_to_string(path).map_err(unreadable)?;
        Self::parse(path, &text).map(Some)
    }

    /// Parses the text of a file; `path` is named in errors.
    ///
    /// # Errors
    /// A line that is not a setting.
    pub fn parse(path: &Path, text: &str) -> Result<Self, SettingsError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut entries = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let bad_line = |reason| SettingsError::BadLine {
                path: PathBuf::from(path),
                line: index + 1,
                reason,
            };
            let Some((name, value)) = parse_line(line).map_err(bad_line)? else {
                continue;
            };
            if let Some(key) = name.strip_prefix(PREFIX) {
                let origin = format!("{}:{}", path.display(), index + 1);
                entries.push(EnvEntry {
                    key: key.to_ascii_lowercase(),
                    value,
                    origin,
                });
            }
        }
        Ok(Self { entries })
    }
}

impl Source for EnvFile {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, ConfigError> {
        // As in a shell, a later line overrides an earlier one; an empty value counts as not set, so the default stays.
        let mut values = Map::new();
        for entry in &self.entries {
            if entry.value.is_empty() {
                values.remove(&entry.key);
            } else {
                let value = Value::new(Some(&entry.origin), ValueKind::String(entry.value.clone()));
                values.insert(entry.key.clone(), value);
            }
        }
        Ok(values)
    }
}

/// Splits one line into name and value; `None` for blank lines and comments.
fn parse_line(line: &str) -> Result<Option<(&str, String)>, &'static str> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let line = line.strip_prefix("export ").map_or(line, str::trim_start);
    let (name, value) = line.split_once('=').ok_or("expected NAME=value")?;
    let name = name.trim_end();
    let starts_well = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    if !starts_well || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Err("a name has only letters, digits and underscores");
    }
    Ok(Some((name, parse_value(value.trim_start())?)))
}

/// Parses a value: quoted, or up to a comment.
fn parse_value(text: &str) -> Result<String, &'static str> {
    match text.chars().next() {
        Some(quote @ ('"' | '\'')) => parse_quoted(&text[1..], quote),
        Some('#') | None => Ok(String::new()),
        Some(_) => {
            let comment = text
                .char_indices()
                .find(|&(at, c)| c == '#' && text[..at].ends_with([' ', '\t']));
            Ok(text[..comment.map_or(text.len(), |(at, _)| at)].trim_end().to_owned())
        }
    }
}

/// Parses up to the closing quote; inside double quotes `\"` is a quote and `\\` a backslash, and any other backslash
/// stays as it is.
fn parse_quoted(text: &str, quote: char) -> Result<String, &'static str> {
    let mut value = String::new();
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        if c == quote {
            let after = rest.as_str().trim_start();
            let is_comment = after.is_empty() || (after.starts_with('#') && after.len() < rest.as_str().len());
            return if is_comment {
                Ok(value)
            } else {
                Err("text after the closing quote")
            };
        }
        let escapes = c == '\\' && quote == '"' && rest.as_str().starts_with(['"', '\\']);
        let kept = if escapes { rest.next() } else { None };
        value.push(kept.unwrap_or(c));
    }
    Err("the closing quote is missing")
}
