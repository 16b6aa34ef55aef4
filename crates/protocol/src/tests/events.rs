//! Events become frames by joining text, which must be the same as writing them whole.

use expect_test::{Expect, expect};
use serde_json::Value;

use crate::{Envelope, ErrorCode, ErrorEvent, Pong, ServerEvent, Token, frame, is_terminal};

fn envelope() -> Envelope {
    Envelope {
        seq: Some(7),
        conversation_id: Some("c".to_owned()),
        turn_id: Some("t".to_owned()),
        at: Some("2026-01-02T03:04:05.678Z".to_owned()),
    }
}

#[track_caller]
fn check(event: ServerEvent, envelope: &Envelope, expected: Expect) {
    let text = event.frame(envelope);
    expected.assert_eq(&text);
    assert_eq!(text, frame(event.kind(), &event.fields(), envelope));
    assert_eq!(
        serde_json::from_str::<ServerEvent>(&text).expect("a frame is an event"),
        event
    );
    assert_eq!(
        &serde_json::from_str::<Envelope>(&text).expect("a frame has an envelope"),
        envelope
    );
    let written = serde_json::to_value(&event).expect("an event can be written");
    let read: Value = serde_json::from_str(&text).expect("a frame is JSON");
    assert_eq!(read["type"], written["type"]);
}

#[test]
fn a_logged_event_has_its_envelope() {
    let token = ServerEvent::Token(Token {
        token: "say \"hi\"\n".to_owned(),
        first_seq: None,
    });
    check(
        token,
        &envelope(),
        expect![[
            r#"{"type":"token","token":"say \"hi\"\n","seq":7,"conversationId":"c","turnId":"t","at":"2026-01-02T03:04:05.678Z"}"#
        ]],
    );
}

#[test]
fn an_event_may_be_alone() {
    check(
        ServerEvent::Pong(Pong { id: None }),
        &Envelope::default(),
        expect![[r#"{"type":"pong"}"#]],
    );
    check(
        ServerEvent::Error(ErrorEvent::new(ErrorCode::Busy, "full")),
        &Envelope::default(),
        expect![[r#"{"type":"error","code":"busy","message":"full","retryable":true}"#]],
    );
}

#[test]
fn a_short_event_of_another_server_can_be_read() {
    let event: ServerEvent = serde_json::from_str(r#"{"type":"token","token":"x"}"#).expect("a token needs no more");
    assert_eq!(
        event,
        ServerEvent::Token(Token {
            token: "x".to_owned(),
            first_seq: None
        })
    );
}

#[test]
fn done_and_error_end_a_turn() {
    let done = ["done", "error"].map(is_terminal);
    assert_eq!(done, [true, true]);
    for kind in ["token", "step-finish", "tool-output", "reset", ""] {
        assert!(!is_terminal(kind), "{kind:?}");
    }
}
