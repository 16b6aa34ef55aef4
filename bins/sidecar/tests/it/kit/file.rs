//! A scenario's file: a line of what it needs, then one line for everything that happens. `fixtures/protocol/README.md` says more.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use serde_json::{Map, Value};

/// One file.
pub struct Scenario {
    pub name: String,
    pub head: Value,
    pub lines: Vec<Value>,
}

pub fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/protocol")
}

/// The names of all scenarios, in order.
pub fn names() -> Vec<String> {
    let entries = fs::read_dir(folder()).expect("the folder of scenarios is there");
    let paths = entries.map(|entry| entry.expect("the folder can be read").path());
    let mut names: Vec<String> = paths
        .filter(|path| path.extension().is_some_and(|ending| ending == "jsonl"))
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect();
    names.sort();
    names
}

impl Scenario {
    #[track_caller]
    pub fn read(name: &str) -> Self {
        let path = folder().join(format!("{name}.jsonl"));
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let values = text.lines().enumerate().map(|(index, line)| {
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{name}:{}: {error}", index + 1))
        });
        let mut lines: Vec<Value> = values.collect();
        assert!(!lines.is_empty(), "{name} has a head");
        let head = lines.remove(0);
        Self {
            name: name.to_owned(),
            head,
            lines,
        }
    }

    pub fn is_for_servers(&self) -> bool {
        self.head["for"] != "clients"
    }

    /// Writes it with other lines.
    pub fn write(&self, lines: &[Value]) {
        let mut text = String::new();
        for line in std::iter::once(&self.head).chain(lines) {
            writeln!(text, "{}", Ordered(line)).expect("a string takes everything");
        }
        fs::write(folder().join(format!("{}.jsonl", self.name)), text).expect("the scenario can be written");
    }
}

/// A value whose objects begin with what a reader looks for first, and end with where an event belongs.
struct Ordered<'a>(&'a Value);

const FIRST: [&str; 10] = [
    "scenario", "for", "why", "type", "socket", "app", "http", "server", "$any", "$repeat",
];
const LAST: [&str; 6] = ["as", "firstSeq", "seq", "conversationId", "turnId", "at"];

fn rank(key: &str) -> usize {
    let first = FIRST.iter().position(|first| *first == key);
    let last = LAST.iter().position(|last| *last == key);
    first.or(last.map(|last| 100 + last)).unwrap_or(50)
}

impl std::fmt::Display for Ordered<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Value::Object(object) => object_text(object, f),
            Value::Array(items) => {
                f.write_char('[')?;
                for (index, item) in items.iter().enumerate() {
                    write!(f, "{}{}", if index > 0 { "," } else { "" }, Ordered(item))?;
                }
                f.write_char(']')
            }
            other => write!(f, "{other}"),
        }
    }
}

fn object_text(object: &Map<String, Value>, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
    let mut entries: Vec<_> = object.iter().collect();
    entries.sort_by_key(|(key, _)| rank(key));
    f.write_char('{')?;
    for (index, (key, value)) in entries.into_iter().enumerate() {
        let comma = if index > 0 { "," } else { "" };
        write!(f, "{comma}{}:{}", Value::from(key.as_str()), Ordered(value))?;
    }
    f.write_char('}')
}
