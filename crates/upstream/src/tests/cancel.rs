use engine::{Engine, EngineEvent, Generation};

use crate::RemoteEngine;
use crate::testing::{Outcome, ScriptedServer, Step, request};

use super::{TIMEOUTS, TestWire, ask, engine, fine, head, settings};

/// Starts an answer that hangs after these steps; all later answers are complete.
async fn start(mut steps: Vec<Step>) -> (ScriptedServer, RemoteEngine<TestWire>, Generation) {
    steps.push(Step::Hang);
    let server = ScriptedServer::start(vec![steps, fine()]).await;
    let engine = engine(server.url(), settings(TIMEOUTS));
    let generation = engine.generate(request("hello")).expect("a server's queue is its own");
    (server, engine, generation)
}

fn text(text: &str) -> Step {
    Step::send(format!("{{\"say\":\"{text}\"}}\n"))
}

/// Checks that the connection was closed, and that the next turn succeeds.
async fn check_idle(server: &ScriptedServer, engine: &RemoteEngine<TestWire>) {
    server.client_left().await;
    let (next, verdict) = ask(engine, server).await;
    assert_eq!((next.text.as_str(), verdict.as_str()), ("fine", "Stop"));
}

#[tokio::test]
async fn cancelling_a_silent_server_keeps_the_text_so_far() {
    let (server, engine, mut generation) = start(vec![head(), text("a")]).await;
    let canceller = generation.canceller();
    assert!(matches!(generation.next().await, Some(EngineEvent::Started(_))));
    assert!(matches!(generation.next().await, Some(EngineEvent::Token { .. })));
    canceller.cancel();
    let Some(EngineEvent::Finished(finished)) = generation.next().await else {
        unreachable!("a cancelled answer finishes");
    };
    assert_eq!(finished.reason, engine::FinishReason::Cancelled);
    assert_eq!(finished.usage.completion_tokens, 1);
    check_idle(&server, &engine).await;
}

#[tokio::test]
async fn cancelling_before_the_first_byte_is_an_empty_answer() {
    let (server, engine, mut generation) = start(vec![]).await;
    server.next_request().await;
    generation.canceller().cancel();
    let outcome = Outcome::read(&mut generation).await;
    assert_eq!((outcome.text.as_str(), outcome.verdict().as_str()), ("", "Cancelled"));
    assert!(outcome.started.is_some());
    check_idle(&server, &engine).await;
}

#[tokio::test]
async fn cancelling_does_not_wait_for_a_busy_server() {
    let busy = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Length: 0\r\n\r\n";
    let (server, engine, mut generation) = start(vec![Step::send(busy)]).await;
    server.next_request().await;
    generation.canceller().cancel();
    let outcome = Outcome::read(&mut generation).await;
    assert_eq!(outcome.verdict(), "Cancelled");
    check_idle(&server, &engine).await;
}

#[tokio::test]
async fn cancelling_does_not_wait_for_a_reader_that_is_behind() {
    let (server, engine, mut generation) = start(vec![head(), text("a"), text(&"b".repeat(9)), Step::Wait]).await;
    assert!(matches!(generation.next().await, Some(EngineEvent::Started(_))));
    server.go_on();
    generation.canceller().cancel();
    let outcome_text = read_rest(&mut generation).await;
    assert!("abbbbbbbbb".starts_with(&outcome_text), "{outcome_text}");
    check_idle(&server, &engine).await;
}

#[tokio::test]
async fn a_full_channel_holds_the_server_back_until_the_end() {
    let many = (0..1_000).map(|_| "{\"say\":\"x\"}\n").collect::<String>();
    let script = vec![head(), Step::send(many), Step::send("{\"end\":\"stop\"}\n")];
    let server = ScriptedServer::start(vec![script]).await;
    let engine = engine(server.url(), settings(TIMEOUTS));
    let (outcome, verdict) = ask(&engine, &server).await;
    assert_eq!((outcome.text.len(), verdict.as_str()), (1_000, "Stop"));
}

#[tokio::test]
async fn cancelling_ends_an_answer_that_is_not_read() {
    let many = (0..1_000).map(|_| "{\"say\":\"x\"}\n").collect::<String>();
    let (server, engine, mut generation) = start(vec![head(), Step::send(many)]).await;
    assert!(matches!(generation.next().await, Some(EngineEvent::Started(_))));
    generation.canceller().cancel();
    // The connection closes before the next event is read.
    server.client_left().await;
    assert!(read_rest(&mut generation).await.len() < 1_000);
    let (next, _) = ask(&engine, &server).await;
    assert_eq!(next.text, "fine");
}

#[tokio::test]
async fn a_reader_that_leaves_closes_the_connection() {
    let (server, engine, mut generation) = start(vec![head(), text("a")]).await;
    assert!(matches!(generation.next().await, Some(EngineEvent::Started(_))));
    drop(generation);
    check_idle(&server, &engine).await;
}

#[tokio::test]
async fn a_reader_that_leaves_before_the_first_byte_closes_the_connection() {
    let (server, engine, generation) = start(vec![]).await;
    server.next_request().await;
    drop(generation);
    check_idle(&server, &engine).await;
}

/// Reads to a cancelled end and returns the text.
async fn read_rest(generation: &mut Generation) -> String {
    let mut text = String::new();
    loop {
        match generation.next().await {
            Some(EngineEvent::Token { text: more, .. }) => text.push_str(&more),
            Some(EngineEvent::Finished(finished)) => {
                assert_eq!(finished.reason, engine::FinishReason::Cancelled);
                return text;
            }
            other => unreachable!("text or the end, not {other:?}"),
        }
    }
}
