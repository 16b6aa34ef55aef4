//! The recorded exchanges of `fixtures/protocol` follow this protocol and cover all of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::document;
use crate::{ClientMessage, Envelope, ErrorCode, Limits, ServerEvent, Timings, Usage};

/// Codes that no frame of the recorded exchanges has, and why.
const UNCOVERED_CODES: [(&str, &str); 6] = [
    ("forbidden", "sent at the handshake, as status 403"),
    ("conflict", "sent over HTTP only"),
    (
        "slow_reader",
        "only the close code has it, as a frame wouldn't reach a reader that takes nothing",
    ),
    ("controller_not_registered", "sent over HTTP only"),
    ("relay_failed", "sent over HTTP only"),
    ("relay_timeout", "sent over HTTP only"),
];

/// Close codes that no socket of the recorded exchanges is closed with, and why.
const UNCOVERED_CLOSES: [(u16, &str); 2] = [
    (4403, "a page that isn't allowed gets no socket"),
    (4413, "needs a reader that fills all buffers on the way"),
];

/// Close codes that belong to no error code, as PROTOCOL.md lists them.
const LAYER_CLOSES: [u16; 7] = [1001, 1002, 1003, 1007, 1008, 1009, 4408];

/// Returns the lines of all files, each with its location.
fn lines() -> Vec<(String, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/protocol");
    let mut lines = Vec::new();
    for entry in fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("the folder can be read").path();
        if path.extension().is_none_or(|ending| ending != "jsonl") {
            continue;
        }
        let text = fs::read_to_string(&path).expect("the file can be read");
        let name = path.file_stem().expect("a file has a name").to_string_lossy();
        for (index, line) in text.lines().enumerate() {
            let place = format!("{name}.jsonl:{}", index + 1);
            let line = serde_json::from_str(line).unwrap_or_else(|error| panic!("{place}: {error}"));
            lines.push((place, line));
        }
    }
    assert!(!lines.is_empty(), "there are exchanges");
    lines
}

/// Replaces each placeholder of a value by an example.
fn filled(value: &Value) -> Value {
    if let Some(repeat) = value.get("$repeat") {
        let times = repeat[1].as_u64().and_then(|times| usize::try_from(times).ok());
        return Value::from(repeat[0].as_str().expect("a text").repeat(times.expect("a number")));
    }
    match (value.get("$any").and_then(Value::as_str), value) {
        (Some("id"), _) => value.get("as").cloned().unwrap_or_else(|| json!("an-id")),
        (Some("text"), _) => json!("some text"),
        (Some("hash"), _) => json!("0".repeat(64)),
        (Some("time"), _) => json!("2026-01-02T03:04:05.678Z"),
        (Some("count" | "seed"), _) => json!(7),
        (Some("limits"), _) => json!(Limits::default()),
        (Some("usage"), _) => json!(Usage::default()),
        (Some("timings"), _) => json!(Timings::default()),
        (Some(kind), _) => panic!("there is no kind {kind:?}"),
        (None, Value::Object(object)) => object.iter().map(|(key, value)| (key.clone(), filled(value))).collect(),
        (None, Value::Array(items)) => items.iter().map(filled).collect(),
        (None, other) => other.clone(),
    }
}

/// Returns a client's frame with each key in its first spelling, without keys that have no effect.
fn plain(frame: &Value) -> Value {
    const SPELLINGS: [(&str, &str); 2] = [("user_message", "message"), ("userMessage", "message")];
    let mut plain = Map::new();
    for (key, value) in frame.as_object().expect("a frame is an object") {
        let named = SPELLINGS.iter().find(|(other, _)| other == key);
        let name = named.map_or_else(|| camel(key), |(_, name)| (*name).to_owned());
        let has_no_effect = (value.is_null() && name != "output") || (name == "own" && *value == json!(false));
        if has_no_effect || !is_key(&name) {
            continue;
        }
        let value = match name.as_str() {
            "options" => value
                .as_object()
                .expect("options are an object")
                .iter()
                .map(|(key, value)| (camel(key), number(value)))
                .collect(),
            "tools" => value.as_array().expect("tools are a list").iter().map(tool).collect(),
            _ => value.clone(),
        };
        if value != json!({}) {
            plain.insert(name, value);
        }
    }
    plain.remove("type");
    Value::Object(plain)
}

/// Converts a number so that 2 and 2.0 are equal, as in JSON.
fn number(value: &Value) -> Value {
    value
        .as_f64()
        .map_or_else(|| value.clone(), |number| json!(f64::from(number as f32)))
}

fn tool(tool: &Value) -> Value {
    let or = |key: &str, default: Value| tool.get(key).cloned().unwrap_or(default);
    json!({ "name": tool["name"], "description": or("description", json!("")), "parameters": or("parameters", json!({})) })
}

fn is_key(name: &str) -> bool {
    let keys = "message agentId conversationId turnId parentTurnId editTurnId newTurnId apiKey after own id tools callId output options";
    keys.split(' ').any(|key| key == name)
}

fn camel(key: &str) -> String {
    let mut words = key.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |name, word| {
        let (initial, rest) = word.split_at(word.len().min(1));
        name + &initial.to_uppercase() + rest
    })
}

#[test]
fn client_frames_are_parsed_and_written_without_loss() {
    for (place, line) in lines() {
        let Some(sent) = line.get("sends") else { continue };
        let frame = filled(sent);
        match ClientMessage::parse(&frame.to_string()) {
            Err(error) => assert_eq!(line["malformed"], json!(true), "{place}: {error}"),
            Ok(message) => {
                assert!(line.get("malformed").is_none(), "{place}: it can be read");
                let written = serde_json::to_value(&message).expect("a message can be written");
                assert_eq!(plain(&written), plain(&frame), "{place}");
            }
        }
    }
}

#[test]
fn server_frames_are_parsed_and_written_without_loss() {
    for (place, line) in lines() {
        let Some(sent) = line.get("gets") else { continue };
        let frame = filled(sent);
        let is_foreign = line["foreign"] == json!(true);
        let event: ServerEvent = match serde_json::from_value(frame.clone()) {
            Err(_) if is_foreign => continue,
            read => read.unwrap_or_else(|error| panic!("{place}: {error}")),
        };
        assert!(!is_foreign, "{place}: it can be read");
        let envelope: Envelope = serde_json::from_value(frame.clone()).expect("every frame has an envelope");
        let written: Value = serde_json::from_str(&event.frame(&envelope)).expect("a frame is JSON");
        assert_eq!(written, frame, "{place}");
    }
}

#[test]
fn no_socket_skips_an_event() {
    let mut last: BTreeMap<(String, String, String), u64> = BTreeMap::new();
    for (place, line) in lines() {
        let file = place.split(':').next().unwrap_or_default().to_owned();
        let socket = line["socket"].to_string();
        let is_resume = line["sends"]["type"].as_str() == Some("resume");
        if is_resume || line.get("opens").is_some() {
            last.retain(|(other, name, _), _| *other != file || *name != socket);
        }
        let frame = &line["gets"];
        let Some(seq) = frame["seq"].as_u64().filter(|_| line.get("dropped").is_none()) else {
            continue;
        };
        let first = frame["firstSeq"].as_u64().unwrap_or(seq);
        let before = last.insert((file, socket, frame["conversationId"].to_string()), seq);
        // A turn that is joined is replayed, beginning with its `user` event.
        let is_replay = frame["type"] == "user" && before.is_some_and(|before| first <= before);
        assert!(
            before.is_none_or(|before| first == before + 1) || is_replay,
            "{place}: {first} after {before:?}"
        );
    }
}

/// Checks that the covered and the uncovered values are disjoint and together all.
#[track_caller]
fn check<T: Ord + std::fmt::Debug + Clone>(covered: BTreeSet<T>, uncovered: &[T], all: BTreeSet<T>) {
    let uncovered: BTreeSet<T> = uncovered.iter().cloned().collect();
    assert_eq!(
        covered.intersection(&uncovered).collect::<Vec<_>>(),
        Vec::<&T>::new(),
        "these are covered after all"
    );
    assert_eq!(covered.union(&uncovered).cloned().collect::<BTreeSet<T>>(), all);
}

#[test]
fn every_error_code_is_covered() {
    let code = |line: &Value| line["gets"]["code"].as_str().map(str::to_owned);
    let covered = lines().iter().filter_map(|(_, line)| code(line)).collect();
    let uncovered = UNCOVERED_CODES.map(|(code, _)| code.to_owned());
    check(
        covered,
        &uncovered,
        ErrorCode::ALL.iter().map(|code| code.as_str().to_owned()).collect(),
    );
}

#[test]
fn every_close_code_is_covered() {
    let code = |line: &Value| line["closed"].as_u64().and_then(|code| u16::try_from(code).ok());
    let covered = lines().iter().filter_map(|(_, line)| code(line)).collect();
    let of_errors = ErrorCode::ALL.into_iter().filter_map(ErrorCode::close_code);
    check(
        covered,
        &UNCOVERED_CLOSES.map(|(code, _)| code),
        of_errors.chain(LAYER_CLOSES).collect(),
    );
}

#[test]
fn every_event_and_every_command_is_covered() {
    let types = |key: &str| {
        let known = lines()
            .into_iter()
            .filter(|(_, line)| line.get("foreign").is_none() && line.get("malformed").is_none());
        known
            .filter_map(|(_, line)| line[key]["type"].as_str().map(str::to_owned))
            .collect::<BTreeSet<_>>()
    };
    check(types("gets"), &[], document::first_words("What the server sends"));
    check(types("sends"), &[], document::first_words("What a client sends"));
}

#[test]
fn every_option_is_accepted_and_refused() {
    let keys = |is_refused: bool| {
        let chosen = lines()
            .into_iter()
            .filter(move |(_, line)| line.get("malformed").is_some() == is_refused);
        let options = chosen.filter_map(|(_, line)| line["sends"]["options"].as_object().cloned());
        options
            .flat_map(|options| options.keys().map(|key| camel(key)).collect::<Vec<_>>())
            .collect::<BTreeSet<_>>()
    };
    let mut all = document::first_words("Options");
    check(keys(false), &[], all.clone());
    all.insert("heat".to_owned());
    check(keys(true), &[], all);
}
