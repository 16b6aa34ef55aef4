//! Turns run first in, first out within a conversation, concurrently between conversations, and few may wait.

use engine::{EngineEvent, ScriptedEngine};
use protocol::ServerEvent;
use tokio::sync::mpsc;

use super::engines::QueueingEngine;
use super::test_chat::{TestChat, assert_refused, command, requests, started, summary, tokens, turn_command};
use super::waiting::{wait_until, within};
use crate::turn_queue::WAITING_TURNS;
use crate::{QueuePosition, TurnCommand};

/// Waits for a turn's position to change; returns `None` once the turn is over.
async fn next_position(position: &mut QueuePosition) -> Option<usize> {
    within("a change of the position", position.changed()).await
}

#[tokio::test]
async fn turns_of_a_conversation_run_in_order() {
    let engine = ScriptedEngine::new([tokens(&["A"]), tokens(&["B"]), tokens(&["C"])]).held();
    let test = TestChat::new(engine.clone());
    let mut handles = Vec::new();
    for turn in ["t1", "t2", "t3"] {
        handles.push(test.chat.start_turn(turn_command(turn, turn)).await.expect("it starts"));
    }
    test.wait_for(&handles[0], "started").await;
    assert_eq!(engine.requests().len(), 1, "only the first one runs");
    assert_eq!(test.chat.live_turns(), 3);
    engine.release(3);
    for (handle, text) in handles.iter().zip(["A", "B", "C"]) {
        assert_eq!(
            summary(&test.read(handle).await),
            format!("user started [{text}] done:stop")
        );
    }
    assert_eq!(requests(&engine), ["User t1", "after 1: User t2", "after 2: User t3"]);
    let order: Vec<String> = test
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
async fn conversations_run_concurrently() {
    let engine = ScriptedEngine::new([]).held();
    let test = TestChat::new(engine.clone());
    let elsewhere = TurnCommand {
        conversation_id: Some("d".to_owned()),
        ..command("hi")
    };
    let one = test.start("hi").await;
    let two = test.chat.start_turn(elsewhere).await.expect("it starts");
    test.wait_for(&one, "started").await;
    test.wait_for(&two, "started").await;
    engine.release(4);
    for handle in [one, two] {
        assert_eq!(
            summary(&test.read(&handle).await),
            "user started [echo: ] [hi] done:stop"
        );
    }
}

#[tokio::test]
async fn a_turn_beyond_the_limit_is_refused_as_busy() {
    let engine = ScriptedEngine::new([]).held();
    let test = TestChat::new(engine.clone());
    let mut handles = vec![test.chat.start_turn(turn_command("t", "hi")).await.expect("it starts")];
    for _ in 0..WAITING_TURNS {
        handles.push(test.start("hi").await);
    }
    assert_refused(test.chat.start_turn(command("hi")).await, "busy", "8 turns waiting");
    assert!(
        test.chat
            .start_turn(turn_command("t", "hi"))
            .await
            .expect("a repeated turn needs no permit")
            .joined
    );
    let elsewhere = TurnCommand {
        conversation_id: Some("d".to_owned()),
        ..command("hi")
    };
    handles.push(
        test.chat
            .start_turn(elsewhere)
            .await
            .expect("another conversation has its own queue"),
    );
    engine.release(1_000);
    for handle in &handles {
        assert!(matches!(test.read(handle).await.last(), Some(ServerEvent::Done(_))));
    }
    test.ask("there is room again").await;
}

#[tokio::test]
async fn an_idle_conversation_keeps_no_task() {
    let test = TestChat::new(ScriptedEngine::new([]));
    for _ in 0..3 {
        test.ask("hi").await;
    }
    let queues = &test.chat.shared.queues;
    wait_until("the queue of the conversation ends", || queues.count() == 0).await;
}

#[tokio::test]
async fn the_position_counts_the_engines_queue() {
    let (sender, mut emitters) = mpsc::channel(1);
    let test = TestChat::new(QueueingEngine(ScriptedEngine::default(), sender));
    let first = test
        .chat
        .start_turn(turn_command("t1", "one"))
        .await
        .expect("it starts");
    test.chat.start_turn(turn_command("t2", "two")).await.expect("it waits");
    let [mut queue, mut next] = ["t1", "t2"].map(|turn| test.chat.queue_position("c", turn).expect("it runs or waits"));
    let emitter = within("a request to the engine", emitters.recv())
        .await
        .expect("it is asked");
    for ahead in [9, 8] {
        emitter.send(EngineEvent::Queued { ahead }).await.expect("it is read");
    }
    let all_read = async { while queue.changed().await.expect("it runs") != 8 {} };
    within("the position 8", all_read).await;
    assert_eq!(next.ahead(), 1);
    emitter.send(started()).await.expect("it is read");
    test.wait_for(&first, "started").await;
    assert_eq!(next_position(&mut queue).await, Some(0));
}

#[tokio::test]
async fn the_position_counts_earlier_turns_of_the_conversation() {
    let engine = ScriptedEngine::new([tokens(&["A"]), tokens(&["B"]), tokens(&["C"])]).held();
    let test = TestChat::new(engine.clone());
    let mut handles = Vec::new();
    for turn in ["t1", "t2", "t3"] {
        handles.push(test.chat.start_turn(turn_command(turn, turn)).await.expect("it starts"));
    }
    let mut queues = Vec::new();
    for turn in ["t1", "t2", "t3"] {
        queues.push(test.chat.queue_position("c", turn).expect("it runs or waits"));
    }
    test.wait_for(&handles[0], "started").await;
    assert_eq!(
        queues.iter_mut().map(|queue| queue.ahead()).collect::<Vec<_>>(),
        [0, 1, 2]
    );
    engine.release(1);
    assert_eq!(next_position(&mut queues[2]).await, Some(1));
    assert_eq!(next_position(&mut queues[1]).await, Some(0));
    test.wait_for(&handles[1], "started").await;
    test.chat.cancel("c", "t2").await.expect("it runs");
    assert_eq!(next_position(&mut queues[2]).await, Some(0));
    engine.release(1);
    test.read(&handles[2]).await;
    assert_eq!(next_position(&mut queues[2]).await, None);
    assert!(test.chat.queue_position("c", "nobody").is_none());
}
