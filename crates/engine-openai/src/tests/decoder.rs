use engine::{EngineEvent, Timings, Usage};
use upstream::testing::{Outcome, ScriptedServer, Step, request};

use super::engine;

/// Reads an answer of these events.
async fn read(events: &[&str]) -> Outcome {
    let body: String = events.iter().map(|event| format!("data: {event}\n\n")).collect();
    let script = vec![Step::head("200 OK", "text/event-stream"), Step::send(body)];
    let server = ScriptedServer::start(vec![script]).await;
    let mut generation = engine(server.url())
        .generate(request("x"))
        .expect("a server's queue is its own");
    Outcome::read(&mut generation).await
}

async fn check(events: &[&str], line: &str) {
    assert_eq!(read(events).await.to_string(), line);
}

const HELLO: &str = r#"{"choices":[{"index":0,"delta":{"content":"Hello"}}]}"#;
const STOP: &str = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;

#[tokio::test]
async fn counts_and_times_of_the_server_take_precedence() {
    let counts = r#"{"choices":[],"usage":{"prompt_tokens":31,"completion_tokens":12,"prompt_tokens_details":{"cached_tokens":4}},"timings":{"prompt_ms":2192.5,"predicted_ms":5500.0}}"#;
    let EngineEvent::Finished(finished) = read(&[HELLO, STOP, counts, "[DONE]"]).await.last else {
        unreachable!("the answer is complete");
    };
    assert_eq!(
        finished.usage,
        Usage {
            prompt_tokens: 27,
            cached_tokens: 4,
            completion_tokens: 12,
            window_tokens: 4_096,
            context_limit: 4_096,
            ..Usage::default()
        }
    );
    assert_eq!(
        finished.timings,
        Timings {
            prefill_ms: 2_192.5,
            decode_ms: 5_500.0,
            tokens_per_second: 2.0,
            ..finished.timings
        }
    );
}

#[tokio::test]
async fn only_the_first_choice_is_read() {
    let other = r#"{"choices":[{"index":1,"delta":{"content":"Other"}}]}"#;
    check(&[HELLO, other, STOP, "[DONE]"], "says \"Hello\", Stop").await;
}

#[tokio::test]
async fn without_an_index_each_id_begins_a_call() {
    let part = |call: &str| format!("{{\"choices\":[{{\"delta\":{{\"tool_calls\":[{call}]}}}}]}}");
    let events = [
        part(r#"{"id":"a","function":{"name":"weather","arguments":"{"}}"#),
        part(r#"{"function":{"arguments":"}"}}"#),
        part(r#"{"id":"b","function":{"name":"time"}}"#),
        STOP.to_owned(),
    ];
    let events: Vec<_> = events.iter().map(String::as_str).collect();
    check(&events, "calls a weather({}), calls b time({}), Stop").await;
}

#[tokio::test]
async fn a_stream_that_stays_open_after_its_end_is_complete() {
    let body = format!("data: {HELLO}\n\ndata: {STOP}\n\n");
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 9999\r\n\r\n";
    let server = ScriptedServer::start(vec![vec![Step::send(head), Step::send(body)]]).await;
    let mut generation = engine(server.url())
        .generate(request("x"))
        .expect("a server's queue is its own");
    assert_eq!(Outcome::read(&mut generation).await.to_string(), "says \"Hello\", Stop");
}
