//! PROTOCOL.md's tables agree with the types.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::keys::OPTIONS;
use crate::{
    Done, ErrorCode, ErrorEvent, Evicted, FinishReason, Limits, Narration, NarrationSource, OptionsPatch, Pong, Queued,
    Ready, Reasoning, Reset, ServerEvent, Started, Step, Summary, Timings, Token, Tool, ToolOutput, Usage, User,
};

const DOCUMENT: &str = include_str!("../../PROTOCOL.md");

/// Returns the cells of each row of the table under a heading, without the table's own head.
#[track_caller]
fn rows(heading: &str) -> Vec<Vec<&'static str>> {
    let section = DOCUMENT
        .split(&format!("# {heading}\n"))
        .nth(1)
        .expect("PROTOCOL.md has the section");
    let table = section.split("\n#").next().expect("a split has a first part");
    let rows = table
        .lines()
        .filter(|line| line.starts_with("| `") && !line.starts_with("| `type` |"));
    rows.map(|row| row.trim_matches('|').split('|').map(str::trim).collect())
        .collect()
}

/// Returns the first cells of the table under a heading, without backticks.
pub(super) fn first_words(heading: &str) -> BTreeSet<String> {
    rows(heading).into_iter().flat_map(|row| words(row[0])).collect()
}

/// Returns the words of a cell that are in backticks, without question marks.
fn words(cell: &str) -> BTreeSet<String> {
    cell.split('`')
        .skip(1)
        .step_by(2)
        .map(|word| word.trim_end_matches('?').to_owned())
        .collect()
}

fn keys(fields: &str) -> BTreeSet<String> {
    let fields: Value = serde_json::from_str(fields).expect("fields are JSON");
    fields
        .as_object()
        .expect("fields are an object")
        .keys()
        .cloned()
        .collect()
}

/// Returns one event of each type, with all optional fields.
fn events() -> Vec<ServerEvent> {
    let options = serde_json::from_str(
        r#"{"temperature":0,"topP":1,"topK":0,"minP":0,"repeatPenalty":1,"maxNewTokens":1,"stop":[],"sinkTokens":4,"windowTokens":9,"model":"m"}"#,
    );
    let some = || "x".to_owned();
    vec![
        ServerEvent::Ready(Ready {
            protocol: crate::PROTOCOL_VERSION,
            agent_id: None,
            model: some(),
            limits: Limits::default(),
            last_seq: 0,
            boot_id: some(),
        }),
        ServerEvent::Queued(Queued { ahead: 1 }),
        ServerEvent::User(User {
            text: some(),
            agent_id: some(),
            agent_hash: some(),
            options: options.expect("options can be read"),
            seed: 1,
            parent_turn_id: None,
        }),
        ServerEvent::Started(Started {
            model: some(),
            prompt_tokens: 1,
            cached_tokens: 1,
            window_tokens: 1,
        }),
        ServerEvent::Token(Token {
            token: some(),
            first_seq: Some(1),
        }),
        ServerEvent::Reasoning(Reasoning { token: some() }),
        ServerEvent::Tool(Tool {
            call_id: some(),
            name: some(),
            payload: Value::Null,
        }),
        ServerEvent::ToolOutput(ToolOutput {
            call_id: some(),
            name: some(),
            payload: Value::Null,
        }),
        ServerEvent::StepStart(step()),
        ServerEvent::Step(step()),
        ServerEvent::StepFinish(step()),
        ServerEvent::Summary(Summary {
            text: some(),
            reference: Some(some()),
        }),
        ServerEvent::Narration(Narration {
            text: some(),
            headline: Some(some()),
            source: NarrationSource::Narrator,
        }),
        ServerEvent::Evicted(Evicted {
            tokens: 1,
            turns: Vec::new(),
        }),
        ServerEvent::Done(Done {
            finish_reason: FinishReason::Stop,
            usage: Usage::default(),
            timings: Timings::default(),
        }),
        ServerEvent::Error(ErrorEvent::new(ErrorCode::Busy, "x")),
        ServerEvent::Pong(Pong { id: Some(some()) }),
        ServerEvent::Reset(Reset { last_seq: 0 }),
    ]
}

fn step() -> Step {
    Step {
        step: 1,
        title: Some("x".to_owned()),
        payload: Some(Value::Null),
    }
}

#[test]
fn error_codes_agree_with_the_document() {
    let close = |code: ErrorCode| code.close_code().map_or("–".to_owned(), |close| close.to_string());
    let retryable = |code: ErrorCode| if code.retryable() { "yes" } else { "no" }.to_owned();
    let coded = ErrorCode::ALL.map(|code| (format!("`{}`", code.as_str()), close(code), retryable(code)));
    let rows = rows("Error codes").into_iter();
    let documented: Vec<_> = rows
        .map(|row| (row[0].to_owned(), row[2].to_owned(), row[3].to_owned()))
        .collect();
    assert_eq!(documented, coded);
}

#[test]
fn a_code_is_serialised_as_its_name() {
    for code in ErrorCode::ALL {
        assert_eq!(
            serde_json::to_string(&code).expect("a code is a string"),
            format!("{:?}", code.as_str())
        );
    }
}

#[test]
fn events_agree_with_the_document() {
    let documented: Vec<_> = rows("What the server sends")
        .into_iter()
        .map(|row| (row[0], words(row[1])))
        .collect();
    let typed: Vec<_> = events()
        .iter()
        .map(|event| (format!("`{}`", event.kind()), keys(&event.fields())))
        .collect();
    assert_eq!(documented.len(), typed.len());
    for ((name, fields), (kind, keys)) in documented.into_iter().zip(typed) {
        assert_eq!((name, fields), (kind.as_str(), keys));
    }
}

#[test]
fn options_agree_with_the_document() {
    let documented: Vec<_> = rows("Options")
        .into_iter()
        .map(|row| row[0].trim_matches('`'))
        .collect();
    let known: Vec<_> = OPTIONS.keys.iter().map(|key| key.spellings[0]).collect();
    assert_eq!(documented, known);
    for key in known {
        assert!(OptionsPatch::parse(&format!("{{\"{key}\":null}}")).is_ok());
    }
}

#[test]
fn limits_agree_with_the_document() {
    let documented: BTreeSet<String> = rows("Limits").into_iter().flat_map(|row| words(row[0])).collect();
    let limits = serde_json::to_string(&Limits::default()).expect("limits can be written");
    assert_eq!(documented, keys(&limits));
}
