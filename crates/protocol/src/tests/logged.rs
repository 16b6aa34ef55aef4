//! Events of an imported log.

use crate::{Envelope, ServerEvent, Token, check_logged, frame};

#[track_caller]
fn refuse(kind: &str, fields: &str, expected: &str) {
    let error = check_logged(kind, fields).expect_err("it is no event").to_string();
    assert!(error.contains(expected), "{error:?} doesn't contain {expected:?}");
    assert!(error.len() < 500, "an error is short: {error:?}");
}

#[test]
fn valid_events_are_accepted() {
    let token = Token {
        token: "\r\n\u{2028}\"type\":".to_owned(),
        first_seq: Some(3),
    };
    let token = ServerEvent::Token(token);
    for (kind, fields) in [
        (token.kind(), token.fields().as_str()),
        ("done", "{}"),
        ("of-a-later-version", " {\"x\" : [1.50],\t\"parentTurnId\":\"t\"} "),
    ] {
        assert_eq!(check_logged(kind, fields), Ok(()), "{fields}");
        let text = frame(kind, fields, &Envelope::default());
        serde_json::from_str::<serde_json::Value>(&text).expect("a frame is JSON");
    }
}

#[test]
fn events_that_could_pass_for_others_are_refused() {
    let long = "x".repeat(33);
    for kind in ["", "Token", "token\ndata: {}", "token ", "tökén", "a\0", &long] {
        refuse(kind, "{}", "\"kind\"");
    }
    for fields in ["", "5", "null", "[]", "\"x\"", "{", "{}{}", "{\"a\":}", "\u{feff}{}"] {
        refuse("token", fields, "JSON object");
    }
    for fields in ["{\"a\":1,\r\"b\":2}", "{\n}", "{}\r"] {
        refuse("token", fields, "on one line");
    }
    for fields in [
        r#"{"type":"done"}"#,
        r#"{"\u0074ype":"done"}"#,
        r#"{"a":{},"seq":1}"#,
        r#"{"conversationId":"c","at":"t"}"#,
        r#"{"turnId":null}"#,
    ] {
        refuse("token", fields, "envelope");
    }
    // Values that are never parsed may be of any depth.
    let deep = format!("{{\"x\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(check_logged("step", &deep), Ok(()));
}
