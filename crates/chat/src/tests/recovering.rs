//! After a crash: what was running ends as interrupted, and is no history.

use conversation_store::{NewEvent, NewTurn, Parent, StartedFacts, TurnState};
use engine::ScriptedEngine;
use protocol::ServerEvent;

use super::bench::{Bench, parsed, requests, tokens};

fn left_behind(turn_id: &str) -> NewTurn {
    NewTurn {
        conversation: "c".to_owned(),
        turn_id: turn_id.to_owned(),
        parent: Parent::Head,
        user_text: "two".to_owned(),
        agent_id: "tester".to_owned(),
        agent_hash: "h".to_owned(),
        agent_json: "{}".to_owned(),
        options_json: "{}".to_owned(),
        seed: 1,
        body_hash: "b".to_owned(),
        event: NewEvent {
            kind: "user".to_owned(),
            at_ms: 0,
            json: "{}".to_owned(),
        },
    }
}

#[tokio::test]
async fn turns_that_were_running_end_as_interrupted() {
    let bench = Bench::new(ScriptedEngine::new([tokens(&["A"])]));
    bench.ask("one").await;
    let streaming = bench.store.begin_turn(left_behind("s")).await.expect("stored");
    let started = StartedFacts {
        model: "scripted-1".to_owned(),
        prompt_tokens: 1,
        epoch: None,
    };
    let append = conversation_store::AppendEvents {
        conversation: "c".to_owned(),
        turn: streaming.key,
        events: vec![NewEvent {
            kind: "token".to_owned(),
            at_ms: 0,
            json: r#"{"token":"half"}"#.to_owned(),
        }],
        answer: Some(conversation_store::AnswerDelta {
            text: "half".to_owned(),
            ids: vec![3],
        }),
        started: Some(started),
        rounds_json: None,
    };
    bench.store.append(append).await.expect("stored");
    bench.store.begin_turn(left_behind("p")).await.expect("stored");

    let engine = ScriptedEngine::new([]);
    let bench = bench.restart(engine.clone());
    assert_eq!(bench.chat.recover().await.expect("readable"), 2);
    assert_eq!(bench.chat.recover().await.expect("readable"), 0);
    for turn_id in ["s", "p"] {
        let turn = bench.store.turn("c", turn_id).await.expect("readable").expect("stored");
        assert_eq!(turn.state, TurnState::Interrupted);
    }
    let half = bench.store.turn("c", "s").await.expect("readable").expect("stored");
    assert_eq!(half.answer_text, "half", "what was generated stays readable");
    let events = bench.store.events("c", 0, 100).await.expect("readable");
    let errors: Vec<ServerEvent> = events
        .iter()
        .filter(|event| event.kind == "error")
        .map(parsed)
        .collect();
    assert_eq!(errors.len(), 2);
    for error in errors {
        let ServerEvent::Error(error) = error else {
            panic!("an error")
        };
        assert_eq!((error.code.as_str(), error.retryable), ("interrupted", true));
    }
    bench.ask("three").await;
    assert_eq!(requests(&engine), ["User one | Assistant A[0] | User three"]);
}
