//! Stopping turns that run, wait, are over, or never were.

use std::time::Duration;

use conversation_store::TurnState;
use engine::ScriptedEngine;
use tokio::sync::mpsc;

use super::bench::{Bench, named, refused, requests, tokens, told};
use super::engines::Crowded;

#[tokio::test]
async fn a_running_turn_keeps_what_it_has() {
    let engine = ScriptedEngine::new([tokens(&["A", "B", "C"])]).held();
    let bench = Bench::new(engine.clone());
    let handle = bench.start("one").await;
    engine.release(1);
    bench.wait_for(&handle, "token").await;
    bench.chat.cancel("c", &handle.turn_id).await.expect("it runs");
    assert_eq!(told(&bench.read(&handle).await), "user started [A] done:cancelled");
    let turn = bench
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
    bench.ask("two").await;
    assert_eq!(requests(&engine)[1], "after 1: User two");
    let bench = bench.restart(engine.clone());
    engine_forgets(&engine);
    bench.ask("three").await;
    assert!(
        requests(&engine)[2].starts_with("User one | Assistant A[0] | User two"),
        "the text that it has is history"
    );
}

fn engine_forgets(engine: &ScriptedEngine) {
    engine::Engine::forget(engine, "c");
}

#[tokio::test]
async fn a_waiting_turn_ends_at_once_and_is_no_history() {
    let engine = ScriptedEngine::new([tokens(&["A"]), tokens(&["C"])]).held();
    let bench = Bench::new(engine.clone());
    let first = bench.start("one").await;
    let second = bench.start("two").await;
    let third = bench.start("three").await;
    bench.wait_for(&first, "started").await;
    bench.chat.cancel("c", &second.turn_id).await.expect("it waits");
    assert_eq!(told(&bench.read(&second).await), "user done:cancelled");
    engine.release(2);
    assert_eq!(told(&bench.read(&first).await), "user started [A] done:stop");
    assert_eq!(told(&bench.read(&third).await), "user started [C] done:stop");
    assert_eq!(requests(&engine), ["User one", "after 1: User three"]);
}

#[tokio::test]
async fn a_turn_that_waits_for_the_engine_ends_at_once() {
    let (sender, mut asked) = mpsc::channel(1);
    let bench = Bench::new(Crowded(ScriptedEngine::default(), sender));
    for message in ["one", "two"] {
        let handle = bench.start(message).await;
        let emitter = asked.recv().await.expect("the engine is asked");
        bench.chat.cancel("c", &handle.turn_id).await.expect("it waits");
        assert_eq!(told(&bench.read(&handle).await), "user done:cancelled");
        assert!(emitter.is_closed(), "the engine need not answer any more");
    }
}

#[tokio::test]
async fn cancelling_twice_or_late_changes_nothing() {
    let engine = ScriptedEngine::new([tokens(&["A"])]).held();
    let bench = Bench::new(engine.clone());
    let handle = bench.chat.start_turn(named("t", "hi")).await.expect("it starts");
    for _ in 0..2 {
        bench.chat.cancel("c", "t").await.expect("it runs");
    }
    assert!(told(&bench.read(&handle).await).ends_with("done:cancelled"));
    bench.chat.shared.lanes.idle().await;
    bench.chat.cancel("c", "t").await.expect("it is over");
    assert_eq!(bench.log().await.iter().filter(|(kind, _)| kind == "done").count(), 1);
}

#[tokio::test]
async fn what_never_was_is_not_found() {
    let bench = Bench::new(ScriptedEngine::new([]));
    let error = bench.chat.cancel("c", "t").await.expect_err("there is none");
    assert_eq!(error.code().as_str(), "conversation_not_found");
}

#[tokio::test]
async fn shutting_down_interrupts_what_does_not_end() {
    let engine = ScriptedEngine::new([tokens(&["A", "B"])]).held();
    let bench = Bench::new(engine.clone());
    let running = bench.start("one").await;
    let waiting = bench.start("two").await;
    engine.release(1);
    bench.wait_for(&running, "token").await;
    bench.chat.shutdown(Duration::ZERO).await;
    assert_eq!(bench.chat.live_turns(), 0);
    assert_eq!(told(&bench.read(&running).await), "user started [A] error:interrupted");
    assert_eq!(told(&bench.read(&waiting).await), "user error:interrupted");
    refused(bench.chat.start_turn(named("t", "three")).await, "draining", "stopping");
    assert_eq!(bench.chat.recover().await.expect("readable"), 0);
}

#[tokio::test]
async fn shutting_down_waits_for_what_ends() {
    let engine = ScriptedEngine::new([tokens(&["A"])]).held();
    let bench = Bench::new(engine.clone());
    let handle = bench.start("one").await;
    bench.wait_for(&handle, "started").await;
    let shutdown = bench.chat.shutdown(Duration::from_secs(60));
    engine.release(1);
    shutdown.await;
    assert_eq!(told(&bench.read(&handle).await), "user started [A] done:stop");
}

#[tokio::test]
async fn shutting_down_does_not_wait_for_a_store_that_takes_nothing() {
    let engine = ScriptedEngine::new([tokens(&["A"])]).held();
    let bench = Bench::new(engine.clone());
    let running = bench.start("one").await;
    bench.start("two").await;
    bench.wait_for(&running, "started").await;
    bench.break_store();
    bench.chat.shutdown(Duration::ZERO).await;
    assert_eq!(bench.chat.live_turns(), 0);
}
