//! A turn from its command to its end.

use engine::{Engine as _, Script, ScriptedEngine};
use protocol::ServerEvent;

use super::test_chat::{NOW_MS, TestChat, assert_refused, command, requests, summary, tokens, turn_command};
use crate::{TurnCommand, logged_frame};

#[tokio::test]
async fn an_answer_is_in_the_log() {
    let test = TestChat::new(ScriptedEngine::new([tokens(&["Hel", "lo"])]));
    let handle = test.start("hi").await;
    assert_eq!(
        (handle.conversation_id.as_str(), handle.first_seq, handle.joined),
        ("c", 1, false)
    );
    let events = test.read(&handle).await;
    assert_eq!(summary(&events), "user started [Hel] [lo] done:stop");
    let ServerEvent::User(user) = &events[0] else {
        panic!("the first event is the user's")
    };
    assert_eq!(
        (user.text.as_str(), user.agent_id.as_str(), &user.parent_turn_id),
        ("hi", "tester", &None)
    );
    let turn = test
        .store
        .turn("c", &handle.turn_id)
        .await
        .expect("readable")
        .expect("stored");
    assert_eq!(
        (turn.answer_text.as_str(), turn.answer_ids),
        ("Hello", Some(vec![0, 1]))
    );
    assert_eq!((turn.agent_hash, turn.seed), (user.agent_hash.clone(), user.seed));
}

#[tokio::test]
async fn frames_carry_their_seq_and_time() {
    let test = TestChat::new(ScriptedEngine::new([tokens(&["x"])]));
    let handle = test.start("hi").await;
    test.read(&handle).await;
    let events = test.store.events("c", 2, 1).await.expect("readable");
    let expected = format!(
        r#"{{"type":"token","token":"x","seq":3,"conversationId":"c","turnId":"{}","at":"2026-01-02T03:04:05.678Z"}}"#,
        handle.turn_id
    );
    assert_eq!((logged_frame("c", &events[0]), events[0].at_ms), (expected, NOW_MS));
}

#[tokio::test]
async fn the_next_turn_continues_from_the_cache() {
    let engine = ScriptedEngine::new([tokens(&["A"]), tokens(&["B"])]);
    let test = TestChat::new(engine.clone());
    test.ask("one").await;
    let events = test.ask("two").await;
    assert_eq!(requests(&engine), ["User one", "after 1: User two"]);
    let ServerEvent::User(user) = &events[0] else {
        panic!("the first event is the user's")
    };
    let first = test.store.turns("c", 0, 1).await.expect("readable").remove(0);
    assert_eq!(user.parent_turn_id.as_deref(), Some(first.turn_id.as_str()));
}

#[tokio::test]
async fn the_system_part_is_the_prompt_and_the_context() {
    let engine = ScriptedEngine::new([]);
    let test = TestChat::new(engine.clone());
    test.ask("one").await;
    assert_eq!(engine.requests()[0].system.as_deref(), Some("Be brief.\n\n- a fact"));
}

#[tokio::test]
async fn a_lost_cache_is_replaced_by_the_history() {
    let engine = ScriptedEngine::new([tokens(&["A"])]);
    let test = TestChat::new(super::engines::ForgetfulEngine(engine.clone()));
    test.ask("one").await;
    let events = test.ask("two").await;
    assert_eq!(summary(&events), "user started [echo: ] [two] done:stop");
    assert_eq!(
        requests(&engine),
        ["User one", "after 1: User two", "User one | Assistant A[0] | User two"]
    );
}

#[tokio::test]
async fn after_a_restart_the_history_is_sent() {
    let test = TestChat::new(ScriptedEngine::new([tokens(&["A"])]));
    test.ask("one").await;
    let engine = ScriptedEngine::new([]);
    let test = test.restart(engine.clone());
    test.ask("two").await;
    assert_eq!(requests(&engine), ["User one | Assistant A[0] | User two"]);
}

#[tokio::test]
async fn another_model_gets_text_without_token_ids() {
    let test = TestChat::new(ScriptedEngine::new([tokens(&["A"])]));
    test.ask("one").await;
    let engine = ScriptedEngine::new([]);
    assert_ne!(super::engines::OtherWeights(engine.clone()).model(), engine.model());
    let test = test.restart(super::engines::OtherWeights(engine.clone()));
    test.ask("two").await;
    assert_eq!(requests(&engine), ["User one | Assistant A | User two"]);
}

#[tokio::test]
async fn a_parent_that_is_not_the_head_begins_a_branch() {
    let engine = ScriptedEngine::new([tokens(&["A"]), tokens(&["B"]), tokens(&["C"])]);
    let test = TestChat::new(engine.clone());
    for (turn_id, message) in [("t1", "one"), ("t2", "two")] {
        let handle = test
            .chat
            .start_turn(turn_command(turn_id, message))
            .await
            .expect("it starts");
        test.read(&handle).await;
    }
    let branch = TurnCommand {
        parent_turn_id: Some("t1".to_owned()),
        ..turn_command("t3", "other")
    };
    let handle = test.chat.start_turn(branch).await.expect("it starts");
    test.read(&handle).await;
    assert_eq!(requests(&engine)[2], "User one | Assistant A[0] | User other");
    test.ask("on").await;
    assert!(requests(&engine)[3].ends_with("User on"), "the branch is the head now");
    let nowhere = TurnCommand {
        parent_turn_id: Some("t9".to_owned()),
        ..command("x")
    };
    assert_refused(
        test.chat.start_turn(nowhere).await,
        "invalid_request",
        "\"parentTurnId\"",
    );
}

#[tokio::test]
async fn a_conversation_is_created_when_the_command_names_none() {
    let test = TestChat::new(ScriptedEngine::new([Script::Echo]));
    let unnamed = TurnCommand {
        conversation_id: None,
        ..command("hi")
    };
    let handle = test.chat.start_turn(unnamed).await.expect("it starts");
    assert_eq!(handle.conversation_id.len(), 36);
    assert_eq!(
        summary(&test.read(&handle).await),
        "user started [echo: ] [hi] done:stop"
    );
}

#[tokio::test]
async fn the_tokens_of_a_long_answer_keep_their_order() {
    let texts: Vec<String> = (0..2_000).map(|i| format!("{i} ")).collect();
    let whole: String = texts.concat();
    let test = TestChat::new(ScriptedEngine::new([Script::Tokens(texts)]));
    let mut long = command("count");
    long.options = protocol::OptionsPatch::parse(r#"{"maxNewTokens":4000}"#).expect("in range");
    let handle = test.chat.start_turn(long).await.expect("it starts");
    let events = test.read(&handle).await;
    let joined: String = events
        .iter()
        .filter_map(|event| {
            if let ServerEvent::Token(token) = event {
                Some(token.token.as_str())
            } else {
                None
            }
        })
        .collect();
    let turn = test
        .store
        .turn("c", &handle.turn_id)
        .await
        .expect("readable")
        .expect("stored");
    assert_eq!(
        (joined.as_str(), turn.answer_text.as_str()),
        (whole.as_str(), whole.as_str())
    );
}
