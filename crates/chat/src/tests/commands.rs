//! Commands that are refused, and commands that come twice.

use engine::{Script, ScriptedEngine};
use protocol::OptionsPatch;

use super::bench::{Bench, command, named, refused, requests, tokens, told};
use crate::TurnCommand;

#[tokio::test]
async fn wrong_commands_are_refused_by_name_and_leave_nothing() {
    let bench = Bench::new(ScriptedEngine::new([]));
    bench.write_agent("odd", "options: {temperature: hot}");
    bench.write_agent("odder", "options: {heat: 1}");
    std::fs::write(bench.agent_file("broken"), "no front matter").expect("a file");
    let agent = |id: &str| TurnCommand {
        agent_id: id.to_owned(),
        ..command("hi")
    };
    let conversation = |id: &str| TurnCommand {
        conversation_id: Some(id.to_owned()),
        ..command("hi")
    };
    for (wrong, code, said) in [
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
        (named("a/b", "hi"), "invalid_request", "\"turnId\""),
        (
            TurnCommand {
                parent_turn_id: Some("x y".to_owned()),
                ..command("hi")
            },
            "invalid_request",
            "turnId",
        ),
    ] {
        refused(bench.chat.start_turn(wrong).await, code, said);
    }
    assert_eq!(bench.store.conversation("c").await.expect("readable"), None);
    assert_eq!(bench.chat.live_turns(), 0);
}

#[tokio::test]
async fn the_largest_message_is_taken() {
    let bench = Bench::new(ScriptedEngine::new([tokens(&["ok"])]));
    let events = bench.ask(&"x".repeat(256 << 10)).await;
    assert_eq!(told(&events), "user started [ok] done:stop");
}

#[tokio::test]
async fn an_agent_can_be_checked_before() {
    let bench = Bench::new(ScriptedEngine::new([]));
    bench.write_agent("odd", "options: {top_k: -1}");
    bench.chat.check_agent("tester").await.expect("it is there and well");
    let code = |result: Result<(), crate::ChatError>| result.expect_err("it is refused").code().as_str();
    assert_eq!(code(bench.chat.check_agent("nobody").await), "agent_not_found");
    assert_eq!(code(bench.chat.check_agent("odd").await), "invalid_request");
}

#[tokio::test]
async fn the_same_turn_again_joins_it() {
    let engine = ScriptedEngine::new([tokens(&["A"])]).held();
    let bench = Bench::new(engine.clone());
    let first = bench.chat.start_turn(named("t", "hi")).await.expect("it starts");
    let running = bench.chat.start_turn(named("t", "hi")).await.expect("it joins");
    assert!(running.joined && !first.joined);
    assert_eq!((running.first_seq, &running.turn_id), (first.first_seq, &first.turn_id));
    engine.release(1);
    assert_eq!(told(&bench.read(&running).await), "user started [A] done:stop");
    let over = bench.chat.start_turn(named("t", "hi")).await.expect("it joins");
    assert_eq!(told(&bench.read(&over).await), "user started [A] done:stop");
    assert_eq!(requests(&engine).len(), 1);
}

#[tokio::test]
async fn the_same_turn_at_once_is_one_turn() {
    let engine = ScriptedEngine::new([tokens(&["A"])]);
    let bench = Bench::new(engine.clone());
    let command = || named("t", "hi");
    let (one, two) = tokio::join!(bench.chat.start_turn(command()), bench.chat.start_turn(command()));
    let (one, two) = (one.expect("it starts"), two.expect("it starts"));
    assert_ne!(one.joined, two.joined);
    bench.read(&one).await;
    assert_eq!(requests(&engine).len(), 1);
}

#[tokio::test]
async fn of_two_that_come_at_once_the_second_may_be_the_turn() {
    let engine = ScriptedEngine::new([tokens(&["A"])]).held();
    let bench = Bench::new(engine.clone());
    let nowhere = TurnCommand {
        parent_turn_id: Some("x".to_owned()),
        ..named("t", "hi")
    };
    let (refused, begun) = tokio::join!(bench.chat.start_turn(nowhere), bench.chat.start_turn(named("t", "hi")));
    // Whichever comes first: it has no parent, or its name is taken.
    let code = refused.expect_err("it can't begin").code().as_str();
    assert!(matches!(code, "invalid_request" | "duplicate_turn"), "{code}");
    let handle = begun.expect("it starts");
    bench.wait_for(&handle, "started").await;
    bench.chat.cancel("c", "t").await.expect("it runs");
    assert_eq!(told(&bench.read(&handle).await), "user started done:cancelled");
}

#[tokio::test]
async fn the_same_turn_id_for_something_else_is_refused() {
    let bench = Bench::new(ScriptedEngine::new([Script::Echo]));
    let handle = bench.chat.start_turn(named("t", "hi")).await.expect("it starts");
    bench.read(&handle).await;
    refused(bench.chat.start_turn(named("t", "ho")).await, "duplicate_turn", "\"t\"");
    let options = OptionsPatch::parse(r#"{"temperature":1}"#).expect("in range");
    refused(
        bench
            .chat
            .start_turn(TurnCommand {
                options,
                ..named("t", "hi")
            })
            .await,
        "duplicate_turn",
        "\"t\"",
    );
}

#[tokio::test]
async fn a_deleted_conversation_is_gone() {
    let bench = Bench::new(ScriptedEngine::new([Script::Echo]));
    bench.ask("hi").await;
    bench.store.delete("c").await.expect("it is deleted");
    refused(bench.chat.start_turn(command("hi")).await, "gone", "\"c\"");
    refused(bench.chat.start_turn(named("t", "hi")).await, "gone", "\"c\"");
    let prompt = bench.chat.prompt("c", "t").await.expect_err("it is gone");
    assert_eq!(prompt.code().as_str(), "gone");
}
