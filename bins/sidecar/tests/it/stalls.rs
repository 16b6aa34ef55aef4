//! A reader that reads nothing.

use std::time::Duration;

use engine::{Script, ScriptedEngine};
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::client::{TestApp, no_gap, text};
use crate::wait::wait_until;

#[tokio::test(flavor = "multi_thread")]
async fn a_stuck_reader_is_closed_and_slows_no_other_reader() {
    // More than all buffers between the two ends hold.
    let tokens = vec!["x".repeat(64 << 10); 400];
    let length: usize = tokens.iter().map(String::len).sum();
    let app = TestApp::start_with(ScriptedEngine::new([Script::Tokens(tokens)]), |settings| {
        settings.limits.write_stall_ms = 20
    })
    .await;
    let mut stuck = app.socket().await;
    stuck.ask("c", "t", "much").await;
    wait_until("the engine is asked", async || !app.engine.requests().is_empty()).await;
    let mut reader = app.socket().await;
    reader
        .send(json!({ "type": "resume", "conversationId": "c", "after": 0 }))
        .await;
    let frames = reader.until("done").await;
    no_gap(0, &frames);
    assert_eq!(text(&frames).len(), length);
    wait_until("only the reader's socket is open", async || {
        app.running().open_sockets() <= 1
    })
    .await;
    // The reason reaches a reader that wakes up soon enough; on a slow machine only the end does.
    let code = stuck.close_code().await;
    assert!(matches!(code, 4413 | 1006), "closed with {code}");
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_stuck_reader_of_server_sent_events_is_closed() {
    // More than all buffers between the two ends hold.
    let tokens = vec!["x".repeat(64 << 10); 400];
    let app = TestApp::start_with(ScriptedEngine::new([Script::Tokens(tokens)]), |settings| {
        settings.http.stall = Duration::from_millis(300)
    })
    .await;
    let mut socket = app.socket().await;
    socket.ask("c", "t", "much").await;
    socket.until("done").await;
    let mut stuck = TcpStream::connect(app.authority()).await.expect("the sidecar listens");
    let host = app.authority();
    let request =
        format!("GET /conversations/c/events?after=0 HTTP/1.1\r\nhost: {host}\r\naccept: text/event-stream\r\n\r\n");
    stuck.write_all(request.as_bytes()).await.expect("the request is taken");
    // Its first byte is there: the reader is counted from now on.
    stuck.readable().await.expect("it is answered");
    wait_until("only the asking socket is open", async || {
        app.running().open_sockets() <= 1
    })
    .await;
    // A socket that reads what comes, and has nothing waiting, stays.
    socket.ask("c", "t2", "hi").await;
    socket.until("done").await;
}
