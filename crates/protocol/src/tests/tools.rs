//! The tools of a message, and the outputs of tools.

use serde_json::json;

use crate::{ClientMessage, ToolAnswer};

#[track_caller]
fn refuse(text: &str, expected: &str) {
    let error = ClientMessage::parse(text).expect_err("the frame is wrong").to_string();
    assert!(error.contains(expected), "{error:?} doesn't contain {expected:?}");
    assert!(error.len() < 500, "an error is short: {error:?}");
}

fn offering(tools: &serde_json::Value) -> String {
    json!({ "message": "hi", "tools": tools }).to_string()
}

#[test]
fn tools_are_parsed() {
    let schema = json!({ "type": "object", "properties": { "city": { "type": "string" } } });
    let text =
        offering(&json!([{ "name": "weather", "description": "of a city", "parameters": schema }, { "name": "now" }]));
    let Ok(ClientMessage::Message(message)) = ClientMessage::parse(&text) else {
        panic!("it is a message");
    };
    let tools = message.tools.expect("it offers tools");
    assert_eq!(json!(tools[0].parameters), schema);
    assert_eq!((tools[1].name.as_str(), tools[1].description.as_str()), ("now", ""));
}

#[test]
fn wrong_tools_are_named() {
    for (tools, expected) in [
        (json!({}), "\"tools\""),
        (json!([["a", "d", {}]]), "expected an object"),
        (json!([{ "description": "x" }]), "missing field `name`"),
        (json!([{ "name": "" }]), "letters"),
        (json!([{ "name": "a b" }]), "\"a b\""),
        (json!([{ "name": "x".repeat(65) }]), "1 to 64"),
        (json!([{ "name": "a" }, { "name": "a" }]), "twice"),
        (json!([{ "name": "a", "parameters": [] }]), "parameters"),
        (json!([{ "name": "a", "strict": true }]), "strict"),
        (
            json!((0..65).map(|n| json!({ "name": format!("t{n}") })).collect::<Vec<_>>()),
            "at most 64",
        ),
    ] {
        refuse(&offering(&tools), expected);
    }
}

#[test]
fn an_output_may_be_any_json() {
    for output in ["null", "\"sunny\"", "{\"degrees\":21.5}", "[1,2]"] {
        let text = format!(r#"{{"type":"tool-output","turn_id":"t","callId":"c","output":{output}}}"#);
        let expected = ToolAnswer {
            turn_id: "t".to_owned(),
            call_id: "c".to_owned(),
            output: serde_json::from_str(output).expect("it is JSON"),
            conversation_id: None,
        };
        assert_eq!(ClientMessage::parse(&text), Ok(ClientMessage::ToolOutput(expected)));
    }
    refuse(r#"{"type":"tool-output","turnId":"t","callId":"c"}"#, "\"output\"");
    refuse(r#"{"type":"tool-output","turnId":"t","output":1}"#, "\"callId\"");
    let deep = format!("{}1{}", "[".repeat(1_000), "]".repeat(1_000));
    refuse(
        &format!(r#"{{"type":"tool-output","turnId":"t","callId":"c","output":{deep}}}"#),
        "deep",
    );
}
