//! Client frames: those that are parsed, and those that are refused with an error that names the key.

use crate::{
    ApiKey, Cancel, ClientMessage, Hello, Leave, Message, OptionsPatch, Ping, ProtocolError, Regenerate, Resume,
    Setting,
};

#[track_caller]
fn check(text: &str, expected: ClientMessage) {
    assert_eq!(ClientMessage::parse(text), Ok(expected));
}

#[track_caller]
fn refuse(text: &str, expected: &str) {
    let error = ClientMessage::parse(text).expect_err("the frame is wrong").to_string();
    assert!(error.contains(expected), "{error:?} doesn't contain {expected:?}");
    assert!(error.len() < 500, "an error is short: {error:?}");
}

fn message(text: &str) -> Message {
    Message {
        message: text.to_owned(),
        ..Message::default()
    }
}

#[test]
fn frames_are_parsed() {
    check(
        r#"{"type":"message","message":"hi"}"#,
        ClientMessage::Message(message("hi")),
    );
    check(r#" {"message":"hi"} "#, ClientMessage::Message(message("hi")));
    check(
        r#"{"type":null,"message":"hi","agentId":null}"#,
        ClientMessage::Message(message("hi")),
    );
    let hello = Hello {
        agent_id: Some("a".to_owned()),
        ..Hello::default()
    };
    check(r#"{"agentId":"a"}"#, ClientMessage::Hello(hello.clone()));
    check(
        r#"{"type":"hello","agent_id":"a","options":null}"#,
        ClientMessage::Hello(hello),
    );
    check(r#"{"type":"cancel"}"#, ClientMessage::Cancel(Cancel::default()));
    let resume = Resume {
        conversation_id: "c".to_owned(),
        after: Some(7),
        own: true,
        api_key: None,
    };
    check(
        r#"{"type":"resume","conversationId":"c","after":7,"own":true}"#,
        ClientMessage::Resume(resume),
    );
    check(
        r#"{"type":"leave","conversation_id":"c"}"#,
        ClientMessage::Leave(Leave {
            conversation_id: "c".to_owned(),
        }),
    );
    check(
        r#"{"type":"ping","id":"1"}"#,
        ClientMessage::Ping(Ping {
            id: Some("1".to_owned()),
        }),
    );
}

#[test]
fn an_older_client_is_understood() {
    let text = r#"{"agent_id":"a","conversation_id":"c","user_message":"hi","options":{"max_new_tokens":5}}"#;
    let options = OptionsPatch {
        max_new_tokens: Setting::Value(5),
        ..OptionsPatch::default()
    };
    let expected = Message {
        agent_id: Some("a".to_owned()),
        conversation_id: Some("c".to_owned()),
        options,
        ..message("hi")
    };
    check(text, ClientMessage::Message(expected));
}

#[test]
fn both_spellings_may_say_the_same() {
    let text = r#"{"message":"hi","user_message":"h\u0069","agentId":"a","agent_id":"a"}"#;
    check(
        text,
        ClientMessage::Message(Message {
            agent_id: Some("a".to_owned()),
            ..message("hi")
        }),
    );
}

#[test]
fn frames_survive_writing_and_reading() {
    let options = OptionsPatch {
        temperature: Setting::Value(0.2),
        seed: Setting::Default,
        ..OptionsPatch::default()
    };
    let full = Message {
        agent_id: Some("a".to_owned()),
        conversation_id: Some("c".to_owned()),
        options,
        turn_id: Some("t".to_owned()),
        parent_turn_id: Some("p".to_owned()),
        api_key: Some(ApiKey::new("k".to_owned())),
        ..message("hi")
    };
    for frame in [
        ClientMessage::Message(full),
        ClientMessage::Message(Message {
            edit_turn_id: Some("e".to_owned()),
            ..message("hi")
        }),
        ClientMessage::Regenerate(Regenerate {
            turn_id: "t".to_owned(),
            conversation_id: Some("c".to_owned()),
            new_turn_id: Some("n".to_owned()),
            ..Regenerate::default()
        }),
        ClientMessage::Hello(Hello::default()),
        ClientMessage::Ping(Ping::default()),
    ] {
        let text = serde_json::to_string(&frame).expect("a frame can be written");
        check(&text, frame);
    }
}

#[test]
fn a_key_is_never_shown() {
    let hello = ClientMessage::parse(r#"{"type":"hello","apiKey":"s3cret"}"#).expect("a hello");
    assert!(!format!("{hello:?}").contains("s3cret"));
}

#[test]
fn wrong_frames_are_refused_by_name() {
    refuse("", "JSON object");
    refuse("[]", "JSON object");
    refuse("null", "JSON object");
    refuse("\"message\"", "JSON object");
    refuse("{", "JSON object");
    refuse(r#"{"message":"hi"} x"#, "trailing");
    refuse("\u{feff}{}", "byte order mark");
    refuse(r#"{"type":"again"}"#, "unknown type \"again\"");
    refuse(r#"{"type":"regenerate"}"#, "key \"turnId\" is missing");
    refuse(
        r#"{"type":"regenerate","turnId":"t","newTurnId":"a b"}"#,
        "\"newTurnId\"",
    );
    refuse(r#"{"message":"hi","edit_turn_id":7}"#, "\"edit_turn_id\"");
    refuse(r#"{"type":7}"#, "\"type\" must be a string, not 7");
    refuse(r#"{"type":"message"}"#, "\"message\" is missing");
    refuse(r#"{"type":"resume"}"#, "\"conversationId\" is missing");
    refuse(r#"{"type":"resume","conversationId":"c","after":-1}"#, "\"after\"");
    refuse(r#"{"type":"resume","conversationId":"c","own":"yes"}"#, "\"own\"");
    refuse(r#"{"message":5}"#, "\"message\" must be a string, not 5");
    refuse(r#"{"message":"a","message":"a"}"#, "\"message\" appears twice");
    refuse(
        r#"{"message":"a","options":{},"options":{}}"#,
        "\"options\" appears twice",
    );
    refuse(
        r#"{"message":"a","user_message":"b"}"#,
        "\"message\" and \"user_message\"",
    );
    refuse(
        r#"{"message":"a","options":{"maxNewTokens":5,"max_new_tokens":6}}"#,
        "\"maxNewTokens\" and \"max_new_tokens\"",
    );
    refuse(
        r#"{"message":"a","options":{"maxNewTokens":5,"max_new_tokens":null}}"#,
        "\"maxNewTokens\" and \"max_new_tokens\"",
    );
    refuse(r#"{"message":"a","options":[]}"#, "\"options\"");
    refuse(r#"{"message":"a","options":5}"#, "\"options\"");
    refuse(r#"{"message":"\ud800"}"#, "\"message\"");
    refuse(r#"{"\ud800":1,"message":"a"}"#, "JSON object");
    refuse(r#"{"message":"a","options":{"temperature":NaN}}"#, "\"temperature\"");
    refuse(
        r#"{"message":"a","options":{"__proto__":{}}}"#,
        "unknown option \"__proto__\"",
    );
}

#[test]
fn wrong_ids_are_refused_by_name() {
    for id in [
        "", ".", "..", "a..b", "../x", "-a", "a b", "a/b", "C:\\\\", "a\\u0000", "é", "a\\u200b",
    ] {
        refuse(
            &format!(r#"{{"message":"a","conversationId":"{id}"}}"#),
            "\"conversationId\"",
        );
        refuse(
            &format!(r#"{{"message":"a","conversation_id":"{id}"}}"#),
            "\"conversation_id\"",
        );
        refuse(&format!(r#"{{"message":"a","turnId":"{id}"}}"#), "\"turnId\"");
        refuse(
            &format!(r#"{{"message":"a","parentTurnId":"{id}"}}"#),
            "\"parentTurnId\"",
        );
    }
    let long = "a".repeat(10_000);
    refuse(&format!(r#"{{"message":"a","turnId":"{long}"}}"#), "\"turnId\"");
    let longest = "a".repeat(128);
    let expected = Message {
        turn_id: Some(longest.clone()),
        ..message("a")
    };
    check(
        &format!(r#"{{"message":"a","turnId":"{longest}"}}"#),
        ClientMessage::Message(expected),
    );
}

#[test]
fn unknown_keys_are_ignored() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    check(
        &format!(r#"{{"x":{deep},"message":"a"}}"#),
        ClientMessage::Message(message("a")),
    );
    check(
        r#"{"__proto__":{"message":"b"},"x":1,"x":2,"y":"\ud800","message":"a"}"#,
        ClientMessage::Message(message("a")),
    );
    refuse(&format!(r#"{{"message":{deep}}}"#), "\"message\" must be a string");
    refuse(&format!(r#"{{"message":"a","options":{deep}}}"#), "\"options\"");
    refuse(&format!(r#"{{"message":"a","options":{{"stop":{deep}}}}}"#), "\"stop\"");
    refuse(&deep, "JSON object");
    refuse(&"[".repeat(100_000), "JSON object");
    refuse(
        &format!(r#"{{"message":"a","options":"{}"}}"#, "x".repeat(100_000)),
        "\"options\"",
    );
}

#[test]
fn every_error_is_an_invalid_request() {
    let error = ClientMessage::parse("{}x").expect_err("there is more after the object");
    assert!(matches!(error, ProtocolError::Malformed { .. }));
    assert_eq!(error.code().as_str(), "invalid_request");
}

/// Cuts frames off at each byte, and replaces each byte.
#[test]
fn damaged_frames_are_refused_with_a_short_error() {
    let frames = [
        r#"{"type":"message","message":"h\u0069 é","agent_id":"a","options":{"topP":0.5,"stop":["x"],"seed":null}}"#,
        r#"{"type":"resume","conversationId":"c","after":7,"own":true,"x":{"y":[1,2]}}"#,
    ];
    for frame in frames {
        for at in (0..frame.len()).filter(|&at| frame.is_char_boundary(at)) {
            assert!(
                ClientMessage::parse(&frame[..at]).is_err(),
                "{:?} is not whole",
                &frame[..at]
            );
            for replacement in ["\"", "\\", "{", "}", "[", ",", ":", "0", "-", "\0", "\u{feff}"] {
                let rest: String = frame[at..].chars().skip(1).collect();
                let damaged = format!("{}{replacement}{rest}", &frame[..at]);
                if let Err(error) = ClientMessage::parse(&damaged) {
                    assert!(error.to_string().len() < 500);
                }
            }
        }
    }
}

#[test]
fn the_subject_of_a_refused_frame_is_found() {
    let names =
        |conversation: Option<&str>, turn: Option<&str>| (conversation.map(str::to_owned), turn.map(str::to_owned));
    let cases = [
        (
            r#"{"message":"x","turnId":"t","conversation_id":"c","options":{"nope":1}}"#,
            names(Some("c"), Some("t")),
        ),
        (
            r#"{"type":"cancel","turn_id":"t","conversationId":7}"#,
            names(None, Some("t")),
        ),
        (r#"{"type":"regenerate","turnId":"../t"}"#, names(None, None)),
        (
            r#"{"type":"regenerate","turnId":"t","new_turn_id":"u","conversationId":"c"}"#,
            names(Some("c"), Some("u")),
        ),
        (
            r#"{"type":"regenerate","turnId":"t","newTurnId":"../u"}"#,
            names(None, Some("t")),
        ),
        (
            r#"{"message":"x","turnId":"t","newTurnId":"u"}"#,
            names(None, Some("t")),
        ),
        (r#"{"turnId":"t","message":"#, names(None, None)),
        ("[]", names(None, None)),
    ];
    for (text, expected) in cases {
        let subject = ClientMessage::subject(text);
        assert_eq!((subject.conversation_id, subject.turn_id), expected, "{text}");
    }
}

#[test]
fn a_body_of_regenerate_may_leave_the_turn_to_the_path() {
    let expected = |turn_id: &str, new_turn_id: Option<&str>| Regenerate {
        turn_id: turn_id.to_owned(),
        new_turn_id: new_turn_id.map(str::to_owned),
        ..Regenerate::default()
    };
    for (body, read) in [
        ("", expected("t", None)),
        ("{}", expected("t", None)),
        (r#"{"new_turn_id":"u"}"#, expected("t", Some("u"))),
        (r#"{"turnId":"v","newTurnId":"u"}"#, expected("v", Some("u"))),
    ] {
        assert_eq!(Regenerate::parse(body.as_bytes(), "t"), Ok(read), "{body:?}");
    }
    for body in ["[]", " ", r#"{"newTurnId":"a b"}"#, r#"{"options":{"heat":1}}"#] {
        assert!(Regenerate::parse(body.as_bytes(), "t").is_err(), "{body:?}");
    }
    assert!(Regenerate::parse(&[0xff], "t").is_err());
}
