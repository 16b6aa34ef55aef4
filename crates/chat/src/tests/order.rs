//! First in, first out in a conversation; side by side between conversations; and no more than may wait.

use engine::{EngineEvent, ScriptedEngine};
use protocol::ServerEvent;
use tokio::sync::mpsc;

use super::bench::{Bench, command, named, refused, requests, started, tokens, told};
use super::engines::Crowded;
use crate::TurnCommand;
use crate::lane::WAITING_TURNS;

#[tokio::test]
async fn turns_of_a_conversation_run_one_after_the_other() {
    let engine = ScriptedEngine::new([tokens(&["A"]), tokens(&["B"]), tokens(&["C"])]).held();
    let bench = Bench::new(engine.clone());
    let mut handles = Vec::new();
    for turn in ["t1", "t2", "t3"] {
        handles.push(bench.chat.start_turn(named(turn, turn)).await.expect("it starts"));
    }
    bench.wait_for(&handles[0], "started").await;
    assert_eq!(engine.requests().len(), 1, "only the first one runs");
    assert_eq!(bench.chat.live_turns(), 3);
    engine.release(3);
    for (handle, text) in handles.iter().zip(["A", "B", "C"]) {
        assert_eq!(
            told(&bench.read(handle).await),
            format!("user started [{text}] done:stop")
        );
    }
    assert_eq!(requests(&engine), ["User t1", "after 1: User t2", "after 2: User t3"]);
    let order: Vec<String> = bench
        .log()
        .await
        .into_iter()
        .map(|(kind, turn)| format!("{kind} {turn}"))
        .collect();
    let ends: Vec<_> = order.iter().filter(|event| event.starts_with("done")).collect();
    assert_eq!(ends, ["done t1", "done t2", "done t3"]);
    let users: Vec<_> = order.iter().filter(|event| event.starts_with("user")).collect();
    assert_eq!(users, ["user t1", "user t2", "user t3"]);
}

#[tokio::test]
async fn conversations_run_side_by_side() {
    let engine = ScriptedEngine::new([]).held();
    let bench = Bench::new(engine.clone());
    let elsewhere = TurnCommand {
        conversation_id: Some("d".to_owned()),
        ..command("hi")
    };
    let one = bench.start("hi").await;
    let two = bench.chat.start_turn(elsewhere).await.expect("it starts");
    bench.wait_for(&one, "started").await;
    bench.wait_for(&two, "started").await;
    engine.release(4);
    for handle in [one, two] {
        assert_eq!(told(&bench.read(&handle).await), "user started [echo: ] [hi] done:stop");
    }
}

#[tokio::test]
async fn the_ninth_that_would_wait_is_busy() {
    let engine = ScriptedEngine::new([]).held();
    let bench = Bench::new(engine.clone());
    let mut handles = vec![bench.chat.start_turn(named("t", "hi")).await.expect("it starts")];
    for _ in 0..WAITING_TURNS {
        handles.push(bench.start("hi").await);
    }
    refused(bench.chat.start_turn(command("hi")).await, "busy", "8 turns waiting");
    assert!(
        bench
            .chat
            .start_turn(named("t", "hi"))
            .await
            .expect("a repeated turn needs no place")
            .joined
    );
    let elsewhere = TurnCommand {
        conversation_id: Some("d".to_owned()),
        ..command("hi")
    };
    handles.push(
        bench
            .chat
            .start_turn(elsewhere)
            .await
            .expect("another conversation has its own places"),
    );
    engine.release(1_000);
    for handle in &handles {
        assert!(matches!(bench.read(handle).await.last(), Some(ServerEvent::Done(_))));
    }
    bench.ask("there is room again").await;
}

#[tokio::test]
async fn a_quiet_conversation_keeps_no_task() {
    let bench = Bench::new(ScriptedEngine::new([]));
    for _ in 0..3 {
        bench.ask("hi").await;
    }
    bench.chat.shared.lanes.idle().await;
    assert_eq!(bench.chat.live_turns(), 0);
}

#[tokio::test]
async fn a_turn_whose_engine_is_full_knows_how_many_are_ahead_of_all() {
    let (sender, mut emitters) = mpsc::channel(1);
    let bench = Bench::new(Crowded(ScriptedEngine::default(), sender));
    let first = bench.chat.start_turn(named("t1", "one")).await.expect("it starts");
    bench.chat.start_turn(named("t2", "two")).await.expect("it waits");
    let [mut queue, mut next] =
        ["t1", "t2"].map(|turn| bench.chat.queue_position("c", turn).expect("it runs or waits"));
    let emitter = emitters.recv().await.expect("it is asked");
    for ahead in [9, 8] {
        emitter.send(EngineEvent::Queued { ahead }).await.expect("it is read");
    }
    while queue.changed().await != Some(8) {}
    assert_eq!(next.ahead(), 1);
    emitter.send(started()).await.expect("it is read");
    bench.wait_for(&first, "started").await;
    assert_eq!(queue.changed().await, Some(0));
}

#[tokio::test]
async fn a_turn_that_waits_knows_how_many_are_ahead() {
    let engine = ScriptedEngine::new([tokens(&["A"]), tokens(&["B"]), tokens(&["C"])]).held();
    let bench = Bench::new(engine.clone());
    let mut handles = Vec::new();
    for turn in ["t1", "t2", "t3"] {
        handles.push(bench.chat.start_turn(named(turn, turn)).await.expect("it starts"));
    }
    let mut queues = Vec::new();
    for turn in ["t1", "t2", "t3"] {
        queues.push(bench.chat.queue_position("c", turn).expect("it runs or waits"));
    }
    bench.wait_for(&handles[0], "started").await;
    assert_eq!(
        queues.iter_mut().map(|queue| queue.ahead()).collect::<Vec<_>>(),
        [0, 1, 2]
    );
    engine.release(1);
    assert_eq!(queues[2].changed().await, Some(1));
    assert_eq!(queues[1].changed().await, Some(0));
    bench.wait_for(&handles[1], "started").await;
    bench.chat.cancel("c", "t2").await.expect("it runs");
    assert_eq!(queues[2].changed().await, Some(0));
    engine.release(1);
    bench.read(&handles[2]).await;
    assert_eq!(queues[2].changed().await, None);
    assert!(bench.chat.queue_position("c", "nobody").is_none());
}
