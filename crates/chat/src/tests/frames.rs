//! Stored events as frames.

use conversation_store::Event;

use crate::{joined_tokens, rfc3339};

fn event(seq: u64, kind: &str, turn: &str, json: &str) -> Event {
    Event {
        seq,
        kind: kind.to_owned(),
        turn_id: Some(turn.to_owned()),
        at_ms: 0,
        json: json.to_owned(),
    }
}

fn token(seq: u64, turn: &str, text: &str) -> Event {
    event(seq, "token", turn, &format!("{{\"token\":\"{text}\"}}"))
}

#[test]
fn times_are_rfc_3339_with_milliseconds() {
    assert_eq!(rfc3339(0), "1970-01-01T00:00:00.000Z");
    assert_eq!(rfc3339(1_767_323_045_678), "2026-01-02T03:04:05.678Z");
    assert!(!rfc3339(i64::MAX).is_empty() && !rfc3339(i64::MIN).is_empty());
}

#[test]
fn a_run_of_tokens_is_one_frame() {
    let joined = joined_tokens("c", &[token(4, "t", "a"), token(5, "t", "b\\n")]);
    let expected = r#"{"type":"token","token":"ab\n","firstSeq":4,"seq":5,"conversationId":"c","turnId":"t","at":"1970-01-01T00:00:00.000Z"}"#;
    assert_eq!(joined.as_deref(), Some(expected));
    let alone = joined_tokens("c", &[token(4, "t", "a")]).expect("one token is a run");
    assert!(!alone.contains("firstSeq"));
}

#[test]
fn other_events_are_not_joined() {
    assert_eq!(joined_tokens("c", &[]), None);
    assert_eq!(joined_tokens("c", &[token(4, "t", "a"), token(6, "t", "b")]), None);
    assert_eq!(joined_tokens("c", &[token(4, "t", "a"), token(5, "u", "b")]), None);
    assert_eq!(
        joined_tokens("c", &[token(4, "t", "a"), event(5, "done", "t", "{}")]),
        None
    );
}
