//! Reads one setting at a time: text in, a checked value out, or an error that names setting, value and source.

use std::collections::HashMap;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use actix_web::http::Uri;
use config::Value;

use super::env_file::PREFIX;
use crate::error::SettingsError;

/// The origin of values of the environment, as the crate `config` names it.
const ENVIRONMENT: &str = "the environment";

/// The sources' values, by lower-case key without the prefix; a key that is read is removed.
pub(super) struct SettingsReader {
    values: HashMap<String, Value>,
}

/// One value with its source.
struct RawSetting {
    name: String,
    text: String,
    origin: String,
}

impl RawSetting {
    fn refuse(self, reason: String) -> SettingsError {
        SettingsError::BadValue {
            name: self.name,
            value: self.text,
            origin: self.origin,
            reason,
        }
    }
}

impl SettingsReader {
    pub(super) fn new(values: HashMap<String, Value>) -> Self {
        Self { values }
    }

    /// Returns one line for each name that was never read, in order of name.
    pub(super) fn into_warnings(self) -> Vec<String> {
        let mut warnings: Vec<String> = self
            .values
            .iter()
            .map(|(key, value)| {
                let origin = value.origin().unwrap_or(ENVIRONMENT);
                format!(
                    "unknown setting {PREFIX}{} (from {origin}) is ignored",
                    key.to_ascii_uppercase()
                )
            })
            .collect();
        warnings.sort();
        warnings
    }

    /// Passes over a variable of the environment that is read elsewhere.
    pub(super) fn skip_variable(&mut self, name: &str) {
        let key = name.to_ascii_lowercase();
        if self
            .values
            .get(&key)
            .is_some_and(|value| value.origin() == Some(ENVIRONMENT))
        {
            self.values.remove(&key);
        }
    }

    pub(super) fn text(&mut self, name: &str, default: &str) -> Result<String, SettingsError> {
        Ok(self.take(name)?.map_or_else(|| default.to_owned(), |found| found.text))
    }

    pub(super) fn switch(&mut self, name: &str, default: bool) -> Result<bool, SettingsError> {
        let Some(found) = self.take(name)? else {
            return Ok(default);
        };
        match found.text.to_ascii_lowercase().as_str() {
            "1" | "true" | "yes" | "on" => Ok(true),
            "0" | "false" | "no" | "off" => Ok(false),
            _ => Err(found.refuse("expected 1 or 0".to_owned())),
        }
    }

    pub(super) fn number<T>(&mut self, name: &str, default: T, range: RangeInclusive<T>) -> Result<T, SettingsError>
    where
        T: FromStr + PartialOrd + Display,
    {
        Ok(self.optional_number(name, range)?.unwrap_or(default))
    }

    pub(super) fn optional_number<T>(
        &mut self,
        name: &str,
        range: RangeInclusive<T>,
    ) -> Result<Option<T>, SettingsError>
    where
        T: FromStr + PartialOrd + Display,
    {
        let Some(found) = self.take(name)? else { return Ok(None) };
        match found.text.parse() {
            Ok(number) if range.contains(&number) => Ok(Some(number)),
            _ => Err(found.refuse(format!(
                "expected a whole number from {} to {}",
                range.start(),
                range.end()
            ))),
        }
    }

    /// Reads one of the named values; the first is the default.
    pub(super) fn choice<T: Copy>(&mut self, name: &str, choices: &[(&str, T)]) -> Result<T, SettingsError> {
        let found = self.take(name)?;
        let wanted = found.as_ref().map_or(choices[0].0, |found| &found.text);
        if let Some((_, value)) = choices.iter().find(|(word, _)| word.eq_ignore_ascii_case(wanted)) {
            return Ok(*value);
        }
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        let found = found.expect("the default is one of the choices");
        Err(found.refuse(format!("expected one of {}", words.join(", "))))
    }

    /// Reads words between commas, without the space around them.
    pub(super) fn list(&mut self, name: &str) -> Result<Vec<String>, SettingsError> {
        let words = self.take(name)?.map(|found| found.text).unwrap_or_default();
        let words = words.split(',').map(str::trim).filter(|word| !word.is_empty());
        Ok(words.map(str::to_owned).collect())
    }

    pub(super) fn url(&mut self, name: &str, default: &str) -> Result<String, SettingsError> {
        Ok(self.optional_url(name)?.unwrap_or_else(|| default.to_owned()))
    }

    pub(super) fn optional_url(&mut self, name: &str) -> Result<Option<String>, SettingsError> {
        let Some(found) = self.take(name)? else { return Ok(None) };
        let is_http = found
            .text
            .parse::<Uri>()
            .is_ok_and(|uri| matches!(uri.scheme_str(), Some("http" | "https")));
        if is_http {
            Ok(Some(found.text))
        } else {
            Err(found.refuse("expected an http:// or https:// address".to_owned()))
        }
    }

    /// Reads a value with a parser, whose error is what it expected.
    pub(super) fn parsed<T>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<Option<T>, SettingsError> {
        let Some(found) = self.take(name)? else { return Ok(None) };
        parse(&found.text).map(Some).map_err(|reason| found.refuse(reason))
    }

    /// Reads a value that errors must not show.
    pub(super) fn secret(&mut self, name: &str) -> Result<Option<String>, SettingsError> {
        let Some(mut found) = self.take(name)? else {
            return Ok(None);
        };
        // Docker Compose takes a comment behind an empty value as the value, which would be a publicly known key.
        if found.text.starts_with('#') {
            found.text = "(hidden)".to_owned();
            return Err(found.refuse("expected a key, not a comment: put the comment on a line of its own".to_owned()));
        }
        // The key is sent in a header, which allows no other characters.
        if found.text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Ok(Some(found.text));
        }
        found.text = "(hidden)".to_owned();
        Err(found.refuse("expected printable ASCII without spaces".to_owned()))
    }

    fn take(&mut self, name: &str) -> Result<Option<RawSetting>, SettingsError> {
        let Some(value) = self.values.remove(&name.to_ascii_lowercase()) else {
            return Ok(None);
        };
        let name = format!("{PREFIX}{name}");
        let origin = value.origin().unwrap_or(ENVIRONMENT).to_owned();
        let text = value.into_string().map_err(|error| SettingsError::Unreadable {
            reason: error.to_string(),
        })?;
        Ok(Some(RawSetting { name, text, origin }))
    }
}
