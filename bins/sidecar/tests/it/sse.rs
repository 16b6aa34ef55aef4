//! A conversation's log as server-sent events, read live and to its end.

use std::time::Duration;

use engine::ScriptedEngine;
use serde_json::{Value, json};

use crate::client::{HttpRequest, TestApp, no_gap, text};
use crate::event_stream::{EventStream, SseEvent};
use crate::wait::wait_until;

async fn begin(app: &TestApp, conversation: &str, message: &str) {
    let body = json!({ "message": message, "agentId": "planner" }).to_string();
    let begun = app
        .http(HttpRequest {
            method: "POST",
            path: &format!("/conversations/{conversation}/turns"),
            body: &body,
            ..HttpRequest::default()
        })
        .await;
    assert_eq!(begun.status, 202, "{}", begun.body);
}

/// Checks that events are frames under their own names, and returns the frames.
#[track_caller]
fn frames(events: Vec<SseEvent>) -> Vec<Value> {
    for event in &events {
        assert_eq!(
            (&event.data["type"], event.data["seq"].as_u64()),
            (&json!(event.kind), event.id)
        );
    }
    events.into_iter().map(|event| event.data).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_is_followed_and_taken_up_again() {
    let app = TestApp::start(ScriptedEngine::default().held()).await;
    begin(&app, "c", "hello").await;
    let mut stream = EventStream::open(&app.authority(), "/conversations/c/events", "").await;
    let begun = frames(stream.until("started").await);
    no_gap(0, &begun);
    app.engine.release(1_000);
    let rest = frames(stream.until("done").await);
    let last = no_gap(begun.len() as u64, &rest);
    assert_eq!(text(&rest), "echo: hello");
    // A reader that reconnects sends the last id, which wins over the `after` of the address.
    let mut again = EventStream::open(
        &app.authority(),
        "/conversations/c/events?after=0",
        "last-event-id: 2\r\n",
    )
    .await;
    assert_eq!(no_gap(2, &frames(again.until("done").await)), last);
    let mut again = EventStream::open(&app.authority(), &format!("/conversations/c/events?after={last}"), "").await;
    begin(&app, "c", "more").await;
    no_gap(last, &frames(again.until("done").await));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_log_comes_in_pieces_without_a_gap() {
    let app = TestApp::start(ScriptedEngine::default()).await;
    let message = "word ".repeat(500).trim_end().to_owned();
    begin(&app, "c", &message).await;
    let mut stream = EventStream::open(&app.authority(), "/conversations/c/events", "").await;
    let frames = stream.until("done").await;
    let frames: Vec<Value> = frames.into_iter().map(|event| event.data).collect();
    no_gap(0, &frames);
    assert_eq!(text(&frames), format!("echo: {message}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_with_its_conversation_and_with_the_sidecar() {
    let app = TestApp::start(ScriptedEngine::default()).await;
    begin(&app, "c", "hello").await;
    begin(&app, "d", "hello").await;
    let mut deleted = EventStream::open(&app.authority(), "/conversations/c/events", "").await;
    deleted.until("done").await;
    let mut stopped = EventStream::open(&app.authority(), "/conversations/d/events", "").await;
    stopped.until("done").await;
    assert_eq!(app.running().open_sockets(), 2);
    let delete = HttpRequest {
        method: "DELETE",
        path: "/conversations/c",
        ..HttpRequest::default()
    };
    assert_eq!(app.http(delete).await.status, 204);
    let last = deleted.next().await.expect("a last word");
    assert_eq!((last.id, last.data["code"].clone()), (None, json!("gone")));
    assert_eq!(deleted.next().await, None);
    let (_, end) = tokio::join!(app.stop(), stopped.next());
    assert_eq!(end, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quiet_stream_sends_heartbeats_and_a_reader_beyond_the_end_is_reset() {
    let app = TestApp::start_with(ScriptedEngine::default(), |settings| {
        settings.ping_period = Duration::from_millis(20);
    })
    .await;
    begin(&app, "c", "hello").await;
    let mut stream = EventStream::open(&app.authority(), "/conversations/c/events", "").await;
    let last = stream.until("done").await.pop().and_then(|event| event.id);
    for _ in 0..3 {
        assert_eq!(stream.block().await.as_deref(), Some(":"));
    }
    let mut ahead = EventStream::open(&app.authority(), "/conversations/c/events?after=99", "").await;
    let reset = ahead.next().await.expect("a reset");
    assert_eq!((reset.kind.as_str(), reset.data["lastSeq"].as_u64()), ("reset", last));
    drop((stream, ahead));
    wait_until("no stream is open", async || app.running().open_sockets() == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_requests_are_refused_before_the_stream() {
    let app = TestApp::start(ScriptedEngine::default()).await;
    let ask = async |path: &str, id: &str| {
        let headers = [
            ("accept", "application/json, text/event-stream;q=0.9"),
            ("last-event-id", id),
        ];
        let request = HttpRequest {
            path,
            headers: &headers,
            ..HttpRequest::default()
        };
        app.http(request).await.status
    };
    assert_eq!(ask("/conversations/c/events", "0").await, 404);
    begin(&app, "c", "hello").await;
    assert_eq!(ask("/conversations/c/events", "x").await, 400);
    assert_eq!(ask("/conversations/c/events?after=x", "0").await, 400);
    assert_eq!(ask("/conversations/c/events?limit=0", "0").await, 400);
    // A parameter that isn't used is checked all the same.
    let plain = HttpRequest {
        path: "/conversations/c/events",
        headers: &[("last-event-id", "x")],
        ..HttpRequest::default()
    };
    assert_eq!(app.http(plain).await.status, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_has_not_changed_is_answered_by_304() {
    let app = TestApp::start(ScriptedEngine::default()).await;
    let etag = app
        .get("/agents/planner")
        .await
        .header("etag")
        .expect("a tag")
        .to_owned();
    for (tags, status) in [
        (etag.clone(), 304),
        (format!("\"other\", W/{etag}"), 304),
        ("*".to_owned(), 304),
        ("\"other\"".to_owned(), 200),
    ] {
        let request = HttpRequest {
            path: "/agents/planner",
            headers: &[("if-none-match", &tags)],
            ..HttpRequest::default()
        };
        let answer = app.http(request).await;
        assert_eq!(
            (answer.status, answer.header("etag")),
            (status, Some(etag.as_str())),
            "{tags}"
        );
        assert_eq!(answer.body.is_empty(), status == 304);
    }
}
