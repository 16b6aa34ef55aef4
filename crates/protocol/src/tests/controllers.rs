use crate::{ControllerEvents, ControllerRegistration, NarratorMessage, RelayErrorBody, ServerEvent};

/// Checks the kinds of a body's events, or its error.
#[track_caller]
fn check(body: &str, expected: &str) {
    let shown = match ControllerEvents::parse(body.as_bytes()) {
        Ok(parsed) => {
            let kinds = parsed.events.into_iter().map(|event| ServerEvent::from(event).kind());
            kinds.collect::<Vec<_>>().join(" ")
        }
        Err(error) => error.to_string(),
    };
    assert_eq!(shown, expected);
}

fn body(events: &str) -> String {
    format!(r#"{{"conversationId":"c","events":[{events}]}}"#)
}

#[test]
fn events_of_a_controller_are_parsed() {
    let all = [
        r#"{"type":"step-start","step":1}"#,
        r#"{"type":"step","step":1,"title":"t","payload":null}"#,
        r#"{"type":"step-finish","step":1.0}"#,
        r#"{"type":"tool","callId":"1","name":"n","payload":{}}"#,
        r#"{"type":"tool-output","callId":"1","name":"n","payload":1}"#,
        r#"{"type":"summary","text":"t","ref":"r"}"#,
        r#"{"type":"narration","text":"t","source":"agent"}"#,
    ];
    check(
        &body(&all.join(",")),
        "step-start step step-finish tool tool-output summary narration",
    );
}

#[test]
fn other_events_are_refused_by_name() {
    let kinds = "`step-start`, `step`, `step-finish`, `tool`, `tool-output`, `summary`, `narration`";
    for kind in ["done", "token", "user", "error"] {
        let refused = ControllerEvents::parse(body(&format!(r#"{{"type":"{kind}"}}"#)).as_bytes());
        let refused = refused.expect_err("a turn's own events are a turn's").to_string();
        assert!(
            refused.contains(&format!("unknown variant `{kind}`, expected one of {kinds}")),
            "{refused}"
        );
    }
    check(&body(""), "key \"events\" must be 1 to 64 events, not 0");
    let many = vec![r#"{"type":"step","step":1}"#; 65].join(",");
    check(&body(&many), "key \"events\" must be 1 to 64 events, not 65");
    let id = "1 to 128 letters, digits, '.', '_' or '-', beginning with a letter or digit, without '..'";
    check(
        r#"{"conversationId":"../c","events":[]}"#,
        &format!("key \"conversationId\" must be {id}, not \"../c\""),
    );
    check(
        r#"{"conversationId":"c","turnId":"","events":[]}"#,
        &format!("key \"turnId\" must be {id}, not \"\""),
    );
}

#[test]
fn wrong_fields_of_bodies_are_named() {
    let missing = ControllerRegistration::parse(b"{}")
        .expect_err("an agent is needed")
        .to_string();
    assert!(missing.contains("missing field `agentId`"), "{missing}");
    let wrong = ControllerRegistration::parse(br#"{"agentId":"a","ttlSeconds":-1}"#).expect_err("it is negative");
    assert!(wrong.to_string().contains("invalid value: integer `-1`"), "{wrong}");
    assert_eq!(NarratorMessage::parse(b"{}"), Ok(NarratorMessage::default()));
    let wrong = NarratorMessage::parse(br#"{"message":1}"#)
        .expect_err("it is a number")
        .to_string();
    assert!(
        wrong.contains("invalid type: integer `1`, expected a string"),
        "{wrong}"
    );
}

#[test]
fn a_relays_error_has_its_code_under_two_names() {
    let body = serde_json::to_string(&RelayErrorBody::new(crate::ErrorCode::RelayFailed, "no luck"));
    assert_eq!(
        body.expect("a body can be written"),
        r#"{"error":"relay_failed","detail":"no luck","code":"relay_failed"}"#
    );
}

/// The readers that serde derives would take both for the fields in order.
#[test]
fn an_array_is_refused_in_place_of_an_object() {
    let no_object = "not a valid JSON object: invalid type: sequence, expected an object at line 1 column ";
    check(r#"["c",null,[]]"#, &format!("{no_object}0"));
    check(&body(r#"["step",1]"#), &format!("{no_object}32"));
    let body = ControllerRegistration::parse(br#"["planner"]"#);
    let refused = body.expect_err("it is an array").to_string();
    assert_eq!(refused, format!("{no_object}0"));
}

#[test]
fn numbers_above_2_to_the_53_are_refused() {
    let body = body(r#"{"type":"step","step":9007199254740992}"#);
    let refused = ControllerEvents::parse(body.as_bytes()).expect_err("it is too large");
    assert!(
        refused.to_string().contains("step 9007199254740992 is above"),
        "{refused}"
    );
    let registration = ControllerRegistration::parse(br#"{"agentId":"a","ttlSeconds":60.0}"#);
    assert_eq!(registration.expect("it is whole").ttl_seconds, Some(60));
}
