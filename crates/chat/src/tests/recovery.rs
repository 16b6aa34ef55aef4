//! After a crash: turns that were running end as interrupted and are left out of history.

use conversation_store::{NewEvent, NewTurn, Parent, StartedFacts, TurnState};
use engine::ScriptedEngine;
use protocol::ServerEvent;

use super::test_chat::{TestChat, parsed, requests, tokens};

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
async fn recovery_ends_running_turns_as_interrupted() {
    let test = TestChat::new(ScriptedEngine::new([tokens(&["A"])]));
    test.ask("one").await;
    let streaming = test.store.begin_turn(left_behind("s")).await.expect("stored");
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
    test.store.append(append).await.expect("stored");
    test.store.begin_turn(left_behind("p")).await.expect("stored");

    let engine = ScriptedEngine::new([]);
    let test = test.restart(engine.clone());
    assert_eq!(test.chat.recover().await.expect("readable"), 2);
    assert_eq!(test.chat.recover().await.expect("readable"), 0);
    for turn_id in ["s", "p"] {
        let turn = test.store.turn("c", turn_id).await.expect("readable").expect("stored");
        assert_eq!(turn.state, TurnState::Interrupted);
    }
    let half = test.store.turn("c", "s").await.expect("readable").expect("stored");
    assert_eq!(half.answer_text, "half", "what was generated stays readable");
    let events = test.store.events("c", 0, 100).await.expect("readable");
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
    test.ask("three").await;
    assert_eq!(requests(&engine), ["User one | Assistant A[0] | User three"]);
}
