//! Cancelling and shutting down: turns that run, wait, are over, or don't exist.

use std::time::Duration;

use conversation_store::TurnState;
use engine::ScriptedEngine;
use tokio::sync::mpsc;

use super::engines::QueueingEngine;
use super::test_chat::{TestChat, assert_refused, requests, summary, tokens, turn_command};
use super::waiting::within;

#[tokio::test]
async fn a_cancelled_turn_keeps_its_text() {
    let engine = ScriptedEngine::new([tokens(&["A", "B", "C"])]).held();
    let test = TestChat::new(engine.clone());
    let handle = test.start("one").await;
    engine.release(1);
    test.wait_for(&handle, "token").await;
    test.chat.cancel("c", &handle.turn_id).await.expect("it runs");
    assert_eq!(summary(&test.read(&handle).await), "user started [A] done:cancelled");
    let turn = test
        .store
        .turn("c", &handle.turn_id)
        .await
        .expect("readable")
        .expect("stored");
    assert_eq!(
        (turn.state, turn.answer_text.as_str(), turn.answer_ids),
        (TurnState::Cancelled, "A", Some(vec![0]))
    );
    engine.release(100);
    test.ask("two").await;
    assert_eq!(requests(&engine)[1], "after 1: User two");
    let test = test.restart(engine.clone());
    engine_forgets(&engine);
    test.ask("three").await;
    assert!(
        requests(&engine)[2].starts_with("User one | Assistant A[0] | User two"),
        "the text that it has is history"
    );
}

fn engine_forgets(engine: &ScriptedEngine) {
    engine::Engine::forget(engine, "c");
}

#[tokio::test]
async fn a_waiting_turn_is_cancelled_at_once_and_left_out_of_history() {
    let engine = ScriptedEngine::new([tokens(&["A"]), tokens(&["C"])]).held();
    let test = TestChat::new(engine.clone());
    let first = test.start("one").await;
    let second = test.start("two").await;
    let third = test.start("three").await;
    test.wait_for(&first, "started").await;
    test.chat.cancel("c", &second.turn_id).await.expect("it waits");
    assert_eq!(summary(&test.read(&second).await), "user done:cancelled");
    engine.release(2);
    assert_eq!(summary(&test.read(&first).await), "user started [A] done:stop");
    assert_eq!(summary(&test.read(&third).await), "user started [C] done:stop");
    assert_eq!(requests(&engine), ["User one", "after 1: User three"]);
}

#[tokio::test]
async fn a_turn_that_waits_for_the_engine_is_cancelled_at_once() {
    let (sender, mut emitters) = mpsc::channel(1);
    let test = TestChat::new(QueueingEngine(ScriptedEngine::default(), sender));
    for message in ["one", "two"] {
        let handle = test.start(message).await;
        let emitter = within("a request to the engine", emitters.recv())
            .await
            .expect("the engine is asked");
        test.chat.cancel("c", &handle.turn_id).await.expect("it waits");
        assert_eq!(summary(&test.read(&handle).await), "user done:cancelled");
        assert!(emitter.is_closed(), "the engine need not answer any more");
    }
}

#[tokio::test]
async fn cancelling_twice_or_late_changes_nothing() {
    let engine = ScriptedEngine::new([tokens(&["A"])]).held();
    let test = TestChat::new(engine.clone());
    let handle = test.chat.start_turn(turn_command("t", "hi")).await.expect("it starts");
    for _ in 0..2 {
        test.chat.cancel("c", "t").await.expect("it runs");
    }
    assert!(summary(&test.read(&handle).await).ends_with("done:cancelled"));
    test.wait_for_idle().await;
    test.chat.cancel("c", "t").await.expect("it is over");
    assert_eq!(test.log().await.iter().filter(|(kind, _)| kind == "done").count(), 1);
}

#[tokio::test]
async fn cancelling_an_unknown_turn_is_an_error() {
    let test = TestChat::new(ScriptedEngine::new([]));
    let error = test.chat.cancel("c", "t").await.expect_err("there is none");
    assert_eq!(error.code().as_str(), "conversation_not_found");
}

#[tokio::test]
async fn shutdown_interrupts_turns_that_do_not_end_in_time() {
    let engine = ScriptedEngine::new([tokens(&["A", "B"])]).held();
    let test = TestChat::new(engine.clone());
    let running = test.start("one").await;
    let waiting = test.start("two").await;
    engine.release(1);
    test.wait_for(&running, "token").await;
    test.chat.shutdown(Duration::ZERO).await;
    assert_eq!(test.chat.live_turns(), 0);
    assert_eq!(
        summary(&test.read(&running).await),
        "user started [A] error:interrupted"
    );
    assert_eq!(summary(&test.read(&waiting).await), "user error:interrupted");
    assert_refused(
        test.chat.start_turn(turn_command("t", "three")).await,
        "draining",
        "stopping",
    );
    assert_eq!(test.chat.recover().await.expect("readable"), 0);
}

#[tokio::test]
async fn shutdown_waits_for_turns_that_end_in_time() {
    let engine = ScriptedEngine::new([tokens(&["A"])]).held();
    let test = TestChat::new(engine.clone());
    let handle = test.start("one").await;
    test.wait_for(&handle, "started").await;
    let shutdown = test.chat.shutdown(Duration::from_secs(60));
    engine.release(1);
    shutdown.await;
    assert_eq!(summary(&test.read(&handle).await), "user started [A] done:stop");
}

#[tokio::test]
async fn shutdown_does_not_wait_for_a_store_that_refuses_writes() {
    let engine = ScriptedEngine::new([tokens(&["A"])]).held();
    let test = TestChat::new(engine.clone());
    let running = test.start("one").await;
    test.start("two").await;
    test.wait_for(&running, "started").await;
    test.break_store();
    test.chat.shutdown(Duration::ZERO).await;
    assert_eq!(test.chat.live_turns(), 0);
}
