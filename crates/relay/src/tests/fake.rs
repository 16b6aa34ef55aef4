//! The scripted relay, and the files of its scripts.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use expect_test::{Expect, expect};

use crate::{FakeAnswer, FakeRelay, Relay, RelayAnswer, RelayError, RelayMessage};

fn message(text: &str) -> RelayMessage {
    RelayMessage {
        workspace_id: "w".to_owned(),
        conversation_id: "c".to_owned(),
        event_id: "e".to_owned(),
        task_id: "t".to_owned(),
        agent_id: "controller".to_owned(),
        message: text.to_owned(),
    }
}

/// Reads a script, and checks its answers to three messages, or its error.
async fn check(script: &str, expected: Expect) {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = folder.path().join("script.json");
    std::fs::write(&path, script).expect("a file can be written");
    let mut shown = Vec::new();
    match FakeRelay::from_file(&path) {
        Err(error) => shown.push(error.to_string().replace(&format!("{:?}", path), "FILE")),
        Ok(relay) => {
            for text in ["one", "two", "three"] {
                shown.push(match relay.ask(message(text)).await {
                    Ok(answer) => format!("{:?} {:?}", answer.remarks[0].text, answer.remarks[0].headline),
                    Err(error) => format!("error: {error}"),
                });
            }
        }
    }
    expected.assert_eq(&shown.join("\n"));
}

#[tokio::test]
async fn a_script_is_played_in_order_before_it_echoes() {
    let script = r#"[{"answer": "a", "headline": "A", "delayMs": 1}, {"error": "no luck"}]"#;
    check(
        script,
        expect![[r#"
            "a" Some("A")
            error: no luck
            "echo: three" None"#]],
    )
    .await;
    check(
        "[]",
        expect![[r#"
            "echo: one" None
            "echo: two" None
            "echo: three" None"#]],
    )
    .await;
}

#[tokio::test]
async fn errors_of_a_script_are_named() {
    let choice = "must be {\"answer\": …} with headline and delayMs if wanted, {\"error\": …} or {\"hang\": true}";
    for (script, number) in [
        (r#"[{}]"#, 1),
        (r#"[{"answer": "a"}, {"answer": "a", "error": "b"}]"#, 2),
        (r#"[{"hang": false}]"#, 1),
        (r#"[{"error": "a", "delayMs": 1}]"#, 1),
    ] {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let path = folder.path().join("script.json");
        std::fs::write(&path, script).expect("a file can be written");
        let refused = FakeRelay::from_file(&path).expect_err("it makes no sense").to_string();
        assert!(refused.ends_with(&format!("answer {number} {choice}")), "{refused}");
    }
    check(
        "[",
        expect!["the fake relay's script FILE can't be used: EOF while parsing a list at line 1 column 1"],
    )
    .await;
    check(
        r#"[{"answr": 1}]"#,
        expect!["the fake relay's script FILE can't be used: unknown field `answr`, expected one of `answer`, `headline`, `delayMs`, `error`, `hang` at line 1 column 9"],
    )
    .await;
    check(
        r#"[{"answer": "a", "delayMs": 3600001}]"#,
        expect![
            "the fake relay's script FILE can't be used: answer 1 has a delayMs of 3600001, and 3600000 is the most"
        ],
    )
    .await;
    let missing = FakeRelay::from_file(std::path::Path::new("nowhere.json")).expect_err("it isn't there");
    assert!(missing.to_string().contains("nowhere.json"), "{missing}");
}

#[tokio::test]
async fn messages_are_kept_and_answers_can_be_held() {
    let relay = FakeRelay::held([
        FakeAnswer::Answer(RelayAnswer::text("a"), Duration::ZERO),
        FakeAnswer::Fail("b".to_owned()),
    ]);
    let asked = tokio::spawn({
        let relay = relay.clone();
        async move { (relay.ask(message("one")).await, relay.ask(message("two")).await) }
    });
    relay.received(1).await;
    assert!(!asked.is_finished());
    relay.release(2);
    let (one, two) = asked.await.expect("it is asked");
    assert_eq!((one, two), (Ok(RelayAnswer::text("a")), Err(RelayError::failed("b"))));
    assert_eq!(relay.messages(), [message("one"), message("two")]);
}

#[tokio::test]
async fn a_hanging_answer_never_comes() {
    let relay = FakeRelay::new([FakeAnswer::Hang]);
    let mut answer = relay.ask(message("one"));
    let polled = poll_fn(|context| Poll::Ready(answer.as_mut().poll(context))).await;
    assert!(polled.is_pending(), "{polled:?}");
    assert_eq!(
        relay.messages(),
        [message("one")],
        "it has reached the end of what it does"
    );
}
