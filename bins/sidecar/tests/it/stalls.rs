//! A reader that reads nothing.

use engine::{Script, ScriptedEngine};
use serde_json::json;

use crate::client::{TestApp, no_gap, text};

#[tokio::test(flavor = "multi_thread")]
async fn a_stuck_reader_is_closed_and_slows_nobody() {
    // More than all buffers between the two ends hold.
    let tokens = vec!["x".repeat(64 << 10); 400];
    let length: usize = tokens.iter().map(String::len).sum();
    let app = TestApp::start_with(ScriptedEngine::new([Script::Tokens(tokens)]), |settings| {
        settings.limits.write_stall_ms = 20
    })
    .await;
    let mut stuck = app.socket().await;
    stuck.ask("c", "t", "much").await;
    while app.engine.requests().is_empty() {
        tokio::task::yield_now().await;
    }
    let mut reader = app.socket().await;
    reader
        .say(json!({ "type": "resume", "conversationId": "c", "after": 0 }))
        .await;
    let frames = reader.until("done").await;
    no_gap(0, &frames);
    assert_eq!(text(&frames).len(), length);
    while app.running().open_sockets() > 1 {
        tokio::task::yield_now().await;
    }
    // The reason reaches a reader that wakes up soon enough; on a slow machine only the end does.
    let code = stuck.closed().await;
    assert!(matches!(code, 4413 | 1006), "closed with {code}");
}
