//! Writes down what was heard, with placeholders for what differs from run to run.

use serde_json::{Value, json};

use super::matching::Names;

/// What a file says of its own, which is kept as it is.
pub struct Recorder {
    /// Options that some frame of the file asks for.
    sent_options: Vec<(String, Value)>,
}

impl Recorder {
    pub fn new(lines: &[Value]) -> Self {
        let mut sent_options = Vec::new();
        for line in lines {
            for said in [&line["sends"], &line["body"]] {
                let options = said["options"].as_object().into_iter().flatten();
                sent_options.extend(options.map(|(key, value)| (key.to_lowercase().replace('_', ""), value.clone())));
            }
        }
        Self { sent_options }
    }

    /// A value with placeholders; `path` are the keys on the way to it.
    pub fn write(&self, names: &mut Names, path: &[&str], value: &Value) -> Value {
        let key = path.last().copied().unwrap_or_default();
        if let Some((name, (kind, _))) = names.0.iter().find(|(_, (_, known))| known == value) {
            return json!({ "$any": kind, "as": name });
        }
        if let Some(kind) = self.kind(path, value) {
            return json!({ "$any": kind });
        }
        match value {
            Value::String(text) if key == "callId" || path == ["with", "token"] => name(names, "text", key, text),
            Value::String(text) if uuid::Uuid::try_parse(text).is_ok() => name(names, "id", key, text),
            Value::Object(object) => object
                .iter()
                .map(|(key, value)| (key.clone(), self.write(names, &[path, &[key]].concat(), value)))
                .collect(),
            Value::Array(items) => items.iter().map(|item| self.write(names, path, item)).collect(),
            other => other.clone(),
        }
    }

    fn kind(&self, path: &[&str], value: &Value) -> Option<&'static str> {
        let key = *path.last()?;
        let is_sent = || {
            self.sent_options
                .iter()
                .any(|(sent, said)| *sent == key.to_lowercase() && said == value)
        };
        match key {
            "at" | "createdAt" | "updatedAt" | "endedAt" | "expiresAt" if value.is_string() => Some("time"),
            "bootId" => Some("id"),
            "agentHash" => Some("hash"),
            "limits" => Some("limits"),
            "usage" => Some("usage"),
            "timings" => Some("timings"),
            "detail" => Some("text"),
            "message" if path.first() == Some(&"error") => Some("text"),
            "model" if !is_sent() => Some("text"),
            "seed" if !is_sent() => Some("seed"),
            "promptTokens" | "cachedTokens" => Some("count"),
            "maxNewTokens" | "sinkTokens" | "windowTokens" if !is_sent() => Some("count"),
            _ => None,
        }
    }
}

/// Gives a value a name of its own.
fn name(names: &mut Names, kind: &str, key: &str, text: &str) -> Value {
    let base = key.trim_end_matches("Id");
    let free = (1..)
        .map(|number| format!("{base}{number}"))
        .find(|name| !names.0.contains_key(name));
    let name = free.expect("numbers don't end");
    names.0.insert(name.clone(), (kind.to_owned(), json!(text)));
    json!({ "$any": kind, "as": name })
}
