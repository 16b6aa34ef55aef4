//! Refused commands and repeated ones.

use engine::{Script, ScriptedEngine};
use protocol::OptionsPatch;

use super::test_chat::{TestChat, assert_refused, command, requests, summary, tokens, turn_command};
use crate::TurnCommand;

#[tokio::test]
async fn invalid_commands_are_refused_and_store_nothing() {
    let test = TestChat::new(ScriptedEngine::new([]));
    test.write_agent("odd", "options: {temperature: hot}");
    test.write_agent("odder", "options: {heat: 1}");
    std::fs::write(test.agent_file("broken"), "no front matter").expect("a file");
    let agent = |id: &str| TurnCommand {
        agent_id: id.to_owned(),
        ..command("hi")
    };
    let conversation = |id: &str| TurnCommand {
        conversation_id: Some(id.to_owned()),
        ..command("hi")
    };
    for (wrong, code, message) in [
        (command(""), "invalid_request", "\"message\""),
        (command(" \n\t\u{3000}"), "invalid_request", "\"message\""),
        (command(&"x".repeat((256 << 10) + 1)), "too_large", "262145"),
        (agent("nobody"), "agent_not_found", "nobody"),
        (agent("../etc"), "invalid_request", "../etc"),
        (agent(""), "invalid_request", "agent id"),
        (agent("odd"), "invalid_request", "\"temperature\""),
        (agent("odder"), "invalid_request", "\"heat\""),
        (agent("broken"), "internal", "first line"),
        (conversation("a..b"), "invalid_request", "\"conversationId\""),
        (conversation(""), "invalid_request", "\"conversationId\""),
        (turn_command("a/b", "hi"), "invalid_request", "\"turnId\""),
        (
            TurnCommand {
                parent_turn_id: Some("x y".to_owned()),
                ..command("hi")
            },
            "invalid_request",
            "turnId",
        ),
    ] {
        assert_refused(test.chat.start_turn(wrong).await, code, message);
    }
    assert_eq!(test.store.conversation("c").await.expect("readable"), None);
    assert_eq!(test.chat.live_turns(), 0);
}

#[tokio::test]
async fn the_largest_message_is_accepted() {
    let test = TestChat::new(ScriptedEngine::new([tokens(&["ok"])]));
    let events = test.ask(&"x".repeat(256 << 10)).await;
    assert_eq!(summary(&events), "user started [ok] done:stop");
}

#[tokio::test]
async fn an_agent_can_be_checked_before_a_turn() {
    let test = TestChat::new(ScriptedEngine::new([]));
    test.write_agent("odd", "options: {top_k: -1}");
    test.chat.check_agent("tester").await.expect("it exists and is valid");
    let code = |result: Result<(), crate::ChatError>| result.expect_err("it is refused").code().as_str();
    assert_eq!(code(test.chat.check_agent("nobody").await), "agent_not_found");
    assert_eq!(code(test.chat.check_agent("odd").await), "invalid_request");
}

#[tokio::test]
async fn a_repeated_command_joins_its_turn() {
    let engine = ScriptedEngine::new([tokens(&["A"])]).held();
    let test = TestChat::new(engine.clone());
    let first = test.chat.start_turn(turn_command("t", "hi")).await.expect("it starts");
    let running = test.chat.start_turn(turn_command("t", "hi")).await.expect("it joins");
    assert!(running.joined && !first.joined);
    assert_eq!((running.first_seq, &running.turn_id), (first.first_seq, &first.turn_id));
    engine.release(1);
    assert_eq!(summary(&test.read(&running).await), "user started [A] done:stop");
    let over = test.chat.start_turn(turn_command("t", "hi")).await.expect("it joins");
    assert_eq!(summary(&test.read(&over).await), "user started [A] done:stop");
    assert_eq!(requests(&engine).len(), 1);
}

#[tokio::test]
async fn the_same_command_twice_at_once_is_one_turn() {
    let engine = ScriptedEngine::new([tokens(&["A"])]);
    let test = TestChat::new(engine.clone());
    let command = || turn_command("t", "hi");
    let (one, two) = tokio::join!(test.chat.start_turn(command()), test.chat.start_turn(command()));
    let (one, two) = (one.expect("it starts"), two.expect("it starts"));
    assert_ne!(one.joined, two.joined);
    test.read(&one).await;
    assert_eq!(requests(&engine).len(), 1);
}

#[tokio::test]
async fn a_turn_id_taken_by_a_refused_command_can_still_be_used() {
    let engine = ScriptedEngine::new([tokens(&["A"])]).held();
    let test = TestChat::new(engine.clone());
    let nowhere = TurnCommand {
        parent_turn_id: Some("x".to_owned()),
        ..turn_command("t", "hi")
    };
    let (refused, begun) = tokio::join!(
        test.chat.start_turn(nowhere),
        test.chat.start_turn(turn_command("t", "hi"))
    );
    // Whichever comes first: it has no parent, or its name is taken.
    let code = refused.expect_err("it can't begin").code().as_str();
    assert!(matches!(code, "invalid_request" | "duplicate_turn"), "{code}");
    let handle = begun.expect("it starts");
    test.wait_for(&handle, "started").await;
    test.chat.cancel("c", "t").await.expect("it runs");
    assert_eq!(summary(&test.read(&handle).await), "user started done:cancelled");
}

#[tokio::test]
async fn a_turn_id_with_another_body_is_refused() {
    let test = TestChat::new(ScriptedEngine::new([Script::Echo]));
    let handle = test.chat.start_turn(turn_command("t", "hi")).await.expect("it starts");
    test.read(&handle).await;
    assert_refused(
        test.chat.start_turn(turn_command("t", "ho")).await,
        "duplicate_turn",
        "\"t\"",
    );
    let options = OptionsPatch::parse(r#"{"temperature":1}"#).expect("in range");
    assert_refused(
        test.chat
            .start_turn(TurnCommand {
                options,
                ..turn_command("t", "hi")
            })
            .await,
        "duplicate_turn",
        "\"t\"",
    );
}

#[tokio::test]
async fn a_deleted_conversation_is_gone() {
    let test = TestChat::new(ScriptedEngine::new([Script::Echo]));
    test.ask("hi").await;
    test.store.delete("c").await.expect("it is deleted");
    assert_refused(test.chat.start_turn(command("hi")).await, "gone", "\"c\"");
    assert_refused(test.chat.start_turn(turn_command("t", "hi")).await, "gone", "\"c\"");
    let prompt = test.chat.prompt("c", "t").await.expect_err("it is gone");
    assert_eq!(prompt.code().as_str(), "gone");
}
