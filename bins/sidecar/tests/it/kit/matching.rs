//! Placeholders: what differs from run to run, and what has to be the same within one.

use std::collections::BTreeMap;

use protocol::{Limits, Timings, Usage};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

/// The values that placeholders with a name stand for, and of which kind they are.
#[derive(Default)]
pub struct Names(pub BTreeMap<String, (String, Value)>);

/// A placeholder's kind and name.
pub fn placeholder(value: &Value) -> Option<(&str, Option<&str>)> {
    Some((value.get("$any")?.as_str()?, value.get("as").and_then(Value::as_str)))
}

impl Names {
    /// What is sent for a value: a name stands for what it stood for before, else for something new.
    pub fn resolve(&mut self, value: &Value) -> Value {
        if let Some((kind, Some(name))) = placeholder(value) {
            let fresh = || (kind.to_owned(), json!(uuid::Uuid::new_v4().to_string()));
            return self.0.entry(name.to_owned()).or_insert_with(fresh).1.clone();
        }
        if let Some(repeat) = value.get("$repeat") {
            let times = repeat[1].as_u64().and_then(|times| usize::try_from(times).ok());
            let piece = repeat[0].as_str().expect("a piece of text");
            return Value::from(piece.repeat(times.expect("a number of times")));
        }
        match value {
            Value::Object(object) => object
                .iter()
                .map(|(key, value)| (key.clone(), self.resolve(value)))
                .collect(),
            Value::Array(items) => items.iter().map(|item| self.resolve(item)).collect(),
            other => other.clone(),
        }
    }

    /// A text in which `{name}` stands for what the name does.
    pub fn resolve_text(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (name, (_, value))| {
            text.replace(&format!("{{{name}}}"), value.as_str().unwrap_or_default())
        })
    }

    /// As [`Names::resolve`], but names that stand for nothing yet stay placeholders.
    pub fn known(&self, value: &Value) -> Value {
        if let Some((_, Some(name))) = placeholder(value) {
            return self
                .0
                .get(name)
                .map_or_else(|| value.clone(), |(_, known)| known.clone());
        }
        match value {
            Value::Object(object) => object
                .iter()
                .map(|(key, value)| (key.clone(), self.known(value)))
                .collect(),
            other => other.clone(),
        }
    }

    /// Whether a value is what was expected; if not, where it isn't.
    pub fn check(&mut self, expected: &Value, actual: &Value) -> Result<(), String> {
        if let Some((kind, name)) = placeholder(expected) {
            if !is_of(kind, actual) {
                return Err(format!("{actual} is no {kind}"));
            }
            let Some(name) = name else { return Ok(()) };
            let known = self
                .0
                .entry(name.to_owned())
                .or_insert((kind.to_owned(), actual.clone()));
            return same(&known.1, actual);
        }
        match (expected, actual) {
            (Value::Object(expected), Value::Object(actual)) => self.check_objects(expected, actual),
            (Value::Array(expected), Value::Array(actual)) if expected.len() == actual.len() => {
                let mut pairs = expected.iter().zip(actual);
                pairs.try_for_each(|(expected, actual)| self.check(expected, actual))
            }
            _ => same(expected, actual),
        }
    }

    fn check_objects(&mut self, expected: &Map<String, Value>, actual: &Map<String, Value>) -> Result<(), String> {
        // Another server may say more; this one says what is written down.
        if let Some(key) = actual.keys().find(|key| !expected.contains_key(*key)) {
            return Err(format!("there is a key {key:?}"));
        }
        for (key, expected) in expected {
            let actual = actual.get(key).ok_or_else(|| format!("there is no key {key:?}"))?;
            self.check(expected, actual).map_err(|why| format!("{key}: {why}"))?;
        }
        Ok(())
    }
}

fn same(expected: &Value, actual: &Value) -> Result<(), String> {
    if expected == actual {
        Ok(())
    } else {
        Err(format!("{actual} instead of {expected}"))
    }
}

fn is_of(kind: &str, value: &Value) -> bool {
    let text = value.as_str();
    match kind {
        "id" => text.is_some_and(|id| protocol::check_turn_id(id).is_ok()),
        "text" => text.is_some_and(|text| !text.is_empty()),
        "hash" => text.is_some_and(|hash| hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit())),
        "time" => text.is_some_and(is_time),
        "count" => value.is_u64(),
        "seed" => value.as_u64().is_some_and(|seed| seed < 1 << 53),
        "limits" => reads_as::<Limits>(value),
        "usage" => reads_as::<Usage>(value),
        "timings" => reads_as::<Timings>(value),
        other => panic!("there is no kind {other:?}"),
    }
}

fn reads_as<T: DeserializeOwned>(value: &Value) -> bool {
    serde_json::from_value::<T>(value.clone()).is_ok()
}

/// RFC 3339 in UTC with milliseconds.
fn is_time(text: &str) -> bool {
    let shape = "0000-00-00T00:00:00.000Z";
    let fits = |(shape, byte): (u8, u8)| shape == byte || (shape == b'0' && byte.is_ascii_digit());
    text.len() == shape.len() && shape.bytes().zip(text.bytes()).all(fits)
}

/// Joins a token frame to the one before it, as a reader that lags gets them.
pub fn join(before: Option<&Value>, token: &Value) -> Value {
    let Some(before) = before else { return token.clone() };
    let mut joined = token.clone();
    let text = |frame: &Value| frame["token"].as_str().unwrap_or_default().to_owned();
    joined["token"] = Value::from(text(before) + &text(token));
    joined["firstSeq"] = before.get("firstSeq").unwrap_or(&before["seq"]).clone();
    joined
}
