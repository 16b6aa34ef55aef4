use conversation_store::Event;
use expect_test::{Expect, expect};

use super::{JOINED_BYTES, LAG_EVENTS, LogFrame, frames};

fn event(seq: u64, kind: &str, turn: &str, json: &str) -> Event {
    Event {
        seq,
        kind: kind.to_owned(),
        turn_id: Some(turn.to_owned()),
        at_ms: 1_000,
        json: json.to_owned(),
    }
}

fn tokens(seqs: std::ops::RangeInclusive<u64>, turn: &str) -> Vec<Event> {
    seqs.map(|seq| event(seq, "token", turn, &format!("{{\"token\":\"{seq} \"}}")))
        .collect()
}

/// Compares the frames of events, without what all of them share.
#[track_caller]
fn check(events: &[Event], expected: Expect) {
    let shared = ",\"conversationId\":\"c\"";
    let shown: Vec<String> = frames("c", events)
        .iter()
        .map(|frame| frame.text.replace(shared, ""))
        .collect();
    expected.assert_eq(&shown.join("\n"));
}

#[test]
fn a_reader_that_keeps_up_gets_a_frame_per_event() {
    check(
        &[
            event(1, "user", "t", "{\"text\":\"hi\"}"),
            event(2, "token", "t", "{\"token\":\"a\"}"),
            event(3, "token", "t", "{\"token\":\"b\"}"),
        ],
        expect![[r#"
            {"type":"user","text":"hi","seq":1,"turnId":"t","at":"1970-01-01T00:00:01.000Z"}
            {"type":"token","token":"a","seq":2,"turnId":"t","at":"1970-01-01T00:00:01.000Z"}
            {"type":"token","token":"b","seq":3,"turnId":"t","at":"1970-01-01T00:00:01.000Z"}"#]],
    );
}

#[test]
fn a_reader_that_lags_gets_tokens_joined_by_turn() {
    let last = LAG_EVENTS as u64;
    let mut events = tokens(1..=3, "t");
    events.push(event(4, "evicted", "t", "{\"tokens\":1,\"turns\":[]}"));
    events.extend(tokens(5..=6, "t"));
    events.extend(tokens(7..=last, "u"));
    events.push(event(last + 1, "done", "u", "{}"));
    check(
        &events,
        expect![[r#"
            {"type":"token","token":"1 2 3 ","firstSeq":1,"seq":3,"turnId":"t","at":"1970-01-01T00:00:01.000Z"}
            {"type":"evicted","tokens":1,"turns":[],"seq":4,"turnId":"t","at":"1970-01-01T00:00:01.000Z"}
            {"type":"token","token":"5 6 ","firstSeq":5,"seq":6,"turnId":"t","at":"1970-01-01T00:00:01.000Z"}
            {"type":"token","token":"7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 ","firstSeq":7,"seq":32,"turnId":"u","at":"1970-01-01T00:00:01.000Z"}
            {"type":"done","seq":33,"turnId":"u","at":"1970-01-01T00:00:01.000Z"}"#]],
    );
}

#[test]
fn joined_tokens_are_bounded_and_lose_nothing() {
    let long = "x".repeat(JOINED_BYTES / 2);
    let json = serde_json::json!({ "token": long }).to_string();
    let events: Vec<Event> = (1..=LAG_EVENTS as u64 + 1)
        .map(|seq| event(seq, "token", "t", &json))
        .collect();
    let mut text = String::new();
    let mut next = 1;
    for LogFrame {
        last_seq, text: frame, ..
    } in frames("c", &events)
    {
        let frame: serde_json::Value = serde_json::from_str(&frame).expect("a frame is JSON");
        assert_eq!(frame["seq"], last_seq);
        let token = frame["token"].as_str().expect("a token has text");
        assert!(token.len() <= JOINED_BYTES, "{} bytes are joined", token.len());
        assert_eq!(
            frame["firstSeq"].as_u64().or(frame["seq"].as_u64()),
            Some(next),
            "no gap"
        );
        next = frame["seq"].as_u64().expect("a logged event has a seq") + 1;
        text.push_str(token);
    }
    assert_eq!((next, text.len()), (events.len() as u64 + 1, long.len() * events.len()));
}
