//! Turns and sockets: which socket owns a turn, which read it, what survives a lost socket.

use engine::{Script, ScriptedEngine};
use serde_json::{Value, json};

use crate::client::{Socket, TestApp, kinds, no_gap, text};
use crate::wait::wait_until;

/// Returns an engine that waits before every token until it is released.
fn held() -> ScriptedEngine {
    ScriptedEngine::default().held()
}

/// Reads a conversation's log from its start until a turn of it ends; returns the last frame.
async fn end_of_turn(app: &TestApp, conversation: &str) -> Value {
    let mut reader = app.socket().await;
    reader
        .send(json!({ "type": "resume", "conversationId": conversation, "after": 0 }))
        .await;
    loop {
        let frame = reader.recv().await;
        if frame["type"] == "done" || frame["type"] == "error" {
            return frame;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_normal_close_cancels_the_turns_of_its_socket() {
    let app = TestApp::start(held()).await;
    for (conversation, code) in [("normal", Some(1000)), ("without-code", None)] {
        let mut socket = app.socket().await;
        socket.ask(conversation, "t", "hello").await;
        socket.until("started").await;
        assert_eq!(socket.close(code).await, code.unwrap_or(1005));
        assert_eq!(
            end_of_turn(&app, conversation).await["finishReason"],
            "cancelled",
            "{conversation}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_socket_leaves_its_turns_running() {
    let app = TestApp::start(held()).await;
    for (conversation, code) in [("page-left", Some(1001)), ("detached", Some(4000)), ("broken", None)] {
        let mut socket = app.socket().await;
        socket.ask(conversation, "t", "hello").await;
        socket.until("started").await;
        match code {
            Some(code) => assert_eq!(socket.close(Some(code)).await, code),
            None => drop(socket),
        }
        wait_until("its socket is closed", async || app.running().open_sockets() == 0).await;
        app.engine.release(2);
        let end = end_of_turn(&app, conversation).await;
        assert_eq!(
            (end["finishReason"].clone(), end["usage"]["completionTokens"].clone()),
            (json!("stop"), json!(2)),
            "{conversation}"
        );
        wait_until("the reader's socket is closed", async || {
            app.running().open_sockets() == 0
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn resume_goes_on_where_the_socket_broke() {
    let app = TestApp::start(held()).await;
    let mut socket = app.socket().await;
    socket.ask("c", "t", "one two three").await;
    app.engine.release(2);
    let mut seen = socket.until("token").await;
    let last = no_gap(0, &seen);
    drop(socket);
    app.engine.release(100);
    let mut socket = app.socket().await;
    socket
        .send(json!({ "type": "resume", "conversationId": "c", "after": last }))
        .await;
    let rest = socket.until("done").await;
    no_gap(last, &rest);
    seen.extend(rest);
    assert_eq!(text(&seen), "echo: one two three");
}

#[tokio::test(flavor = "multi_thread")]
async fn resume_beyond_the_end_is_reset_and_then_follows_live() {
    let app = TestApp::start(ScriptedEngine::default()).await;
    let mut writer = app.socket().await;
    writer.ask("c", "t1", "one").await;
    let last = no_gap(0, &writer.until("done").await);
    let mut reader = app.socket().await;
    reader
        .send(json!({ "type": "resume", "conversationId": "c", "after": 1_000 }))
        .await;
    assert_eq!(
        reader.recv().await,
        json!({ "type": "reset", "lastSeq": last, "conversationId": "c" })
    );
    let mut late = app.socket().await;
    late.send(json!({ "type": "resume", "conversationId": "c" })).await;
    late.send(json!({ "type": "ping" })).await;
    late.until("pong").await;
    writer.ask("c", "t2", "two").await;
    for reader in [&mut reader, &mut late] {
        let frames = reader.until("done").await;
        no_gap(last, &frames);
        assert_eq!(
            (kinds(&frames), text(&frames)),
            ("user started token done".to_owned(), "echo: two".to_owned())
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_that_was_taken_over_ends_with_its_new_owner() {
    let app = TestApp::start(held()).await;
    let mut first = app.socket().await;
    first.ask("c", "t", "hello").await;
    first.until("started").await;
    let mut second = app.socket().await;
    second
        .send(json!({ "type": "resume", "conversationId": "c", "after": 0, "own": true }))
        .await;
    second.until("started").await;
    first.close(Some(1000)).await;
    app.engine.release(1);
    second.until("token").await;
    second.close(Some(1000)).await;
    let end = end_of_turn(&app, "c").await;
    assert_eq!(
        (end["finishReason"].clone(), end["usage"]["completionTokens"].clone()),
        (json!("cancelled"), json!(1))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelling_keeps_the_socket() {
    let app = TestApp::start(held()).await;
    let mut socket = app.socket().await;
    for (turn, cancel) in [
        ("t1", json!({ "type": "cancel", "turnId": "t1" })),
        ("t2", json!({ "type": "cancel" })),
    ] {
        socket.ask("c", turn, "hello").await;
        socket.until("started").await;
        socket.send(cancel).await;
        assert_eq!(
            socket.until("done").await.last().expect("a done")["finishReason"],
            "cancelled"
        );
    }
    socket.send(json!({ "type": "cancel", "turnId": "t9" })).await;
    assert_eq!(socket.recv().await["code"], "conversation_not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_turn_again_is_replayed_and_another_body_refused() {
    let app = TestApp::start(ScriptedEngine::default()).await;
    let mut first = app.socket().await;
    first.ask("c", "t", "hello").await;
    let seen = first.until("done").await;
    let mut second = app.socket().await;
    second.ask("c", "t", "hello").await;
    assert_eq!(second.until("done").await[1..], seen[1..]);
    second.ask("c", "t", "goodbye").await;
    let refused = second.recv().await;
    assert_eq!(
        (refused["code"].clone(), refused["turnId"].clone()),
        (json!("duplicate_turn"), json!("t"))
    );
    // Also on the socket that has received it already.
    first.ask("c", "t", "hello").await;
    assert_eq!(first.until("done").await, seen[1..]);
    assert_eq!(app.engine.requests().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_that_was_left_sends_no_more_frames() {
    let app = TestApp::start(ScriptedEngine::default()).await;
    let mut socket = app.socket().await;
    socket.ask("a", "t", "hello").await;
    socket.until("done").await;
    socket.send(json!({ "type": "leave", "conversationId": "a" })).await;
    socket.send(json!({ "type": "ping" })).await;
    socket.until("pong").await;
    let mut other = app.socket().await;
    other.ask("a", "t2", "hello").await;
    other.until("done").await;
    socket.ask("b", "t", "hello").await;
    assert!(
        socket
            .until("done")
            .await
            .iter()
            .all(|frame| frame["conversationId"] == "b")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_socket_reads_a_limited_number_of_conversations() {
    let app = TestApp::start_with(ScriptedEngine::default(), |settings| {
        settings.limits.conversations_per_socket = 2
    })
    .await;
    let mut socket = app.socket().await;
    for id in ["a", "b"] {
        socket.ask(id, "t", "hello").await;
        socket.until("done").await;
    }
    socket.ask("c", "t", "hello").await;
    assert_eq!(socket.recv().await["code"], "busy");
    socket.send(json!({ "type": "leave", "conversationId": "a" })).await;
    socket.ask("c", "t", "hello").await;
    socket.until("done").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_survives_a_restart() {
    let app = TestApp::start(held()).await;
    let mut socket = app.socket().await;
    socket.ask("c", "t1", "one two").await;
    app.engine.release(1);
    let seen = socket.until("token").await;
    let last = no_gap(0, &seen);
    let app = app.restart(ScriptedEngine::default()).await;
    let mut socket = app.socket().await;
    socket
        .send(json!({ "type": "resume", "conversationId": "c", "after": last }))
        .await;
    let rest = socket.until("error").await;
    let last = no_gap(last, &rest);
    assert_eq!(rest.last().expect("an error")["code"], "interrupted");
    socket.ask("c", "t2", "three").await;
    let frames = socket.until("done").await;
    no_gap(last, &frames);
    assert_eq!(text(&frames), "echo: three");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_far_behind_is_served_in_bigger_pieces() {
    let tokens: Vec<String> = (0..1_000).map(|index| format!("{index} ")).collect();
    let app = TestApp::start(ScriptedEngine::new([Script::Tokens(tokens.clone())])).await;
    let mut socket = app.socket().await;
    socket.send(json!({ "agentId": "planner", "conversationId": "c", "message": "count", "options": { "maxNewTokens": 2_000 } })).await;
    let last = no_gap(0, &socket.until("done").await);
    let mut behind = app.socket().await;
    behind
        .send(json!({ "type": "resume", "conversationId": "c", "after": 0 }))
        .await;
    let frames = behind.until("done").await;
    assert_eq!((no_gap(0, &frames), text(&frames)), (last, tokens.concat()));
    assert!(frames.len() < 100, "{} frames for {last} events", frames.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_conversation_ends_its_readers_but_not_their_socket() {
    let app = TestApp::start(ScriptedEngine::default()).await;
    let mut socket = app.socket().await;
    socket.ask("c", "t", "hello").await;
    socket.until("done").await;
    let delete = crate::client::HttpRequest {
        method: "DELETE",
        path: "/conversations/c",
        ..Default::default()
    };
    assert_eq!(app.http(delete).await.status, 204);
    let gone = socket.recv().await;
    assert_eq!(
        (gone["code"].clone(), gone["conversationId"].clone()),
        (json!("gone"), json!("c"))
    );
    socket.ask("c", "t2", "hello").await;
    assert_eq!(socket.recv().await["code"], "gone");
    let mut another: Socket = app.socket().await;
    another.ask("c", "t3", "hello").await;
    assert_eq!(another.close_code().await, 4404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_stops_what_is_left_when_conversations_were_deleted() {
    let app = TestApp::start(held()).await;
    let mut socket = app.socket().await;
    let (deleted, left) = (["a", "b", "c", "d"], ["e", "f", "g", "h"]);
    for conversation in deleted.into_iter().chain(left) {
        socket.ask(conversation, "t", "hello").await;
        socket.until("started").await;
    }
    for conversation in deleted {
        let delete = crate::client::HttpRequest {
            method: "DELETE",
            path: &format!("/conversations/{conversation}"),
            ..Default::default()
        };
        assert_eq!(app.http(delete).await.status, 204);
    }
    socket.send(json!({ "type": "cancel" })).await;
    socket.send(json!({ "type": "ping" })).await;
    for frame in socket.until("pong").await {
        assert!(
            frame["type"] != "error" || frame["conversationId"].is_string(),
            "the cancel was refused: {frame}"
        );
    }
    for conversation in left {
        assert_eq!(end_of_turn(&app, conversation).await["finishReason"], "cancelled");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_conversation_does_not_count_towards_the_limit_of_a_socket() {
    let app = TestApp::start_with(ScriptedEngine::default(), |settings| {
        settings.limits.conversations_per_socket = 1
    })
    .await;
    let mut socket = app.socket().await;
    socket.ask("c", "t", "hello").await;
    socket.until("done").await;
    socket.ask("d", "t", "hello").await;
    assert_eq!(socket.recv().await["code"], "busy");
    let delete = crate::client::HttpRequest {
        method: "DELETE",
        path: "/conversations/c",
        ..Default::default()
    };
    assert_eq!(app.http(delete).await.status, 204);
    assert_eq!(socket.recv().await["code"], "gone");
    socket.ask("d", "t", "hello").await;
    assert_eq!(socket.recv().await["type"], "user");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_error_of_a_bad_message_names_its_turn() {
    let app = TestApp::start(held()).await;
    let mut socket = app.socket().await;
    socket.ask("c", "good", "hello").await;
    let bad = json!({ "message": "x", "turnId": "bad", "conversationId": "c", "options": { "topK": "5" } });
    socket.send(bad).await;
    let error = socket.until("error").await.pop().expect("there is an error");
    assert_eq!(
        (&error["turnId"], &error["conversationId"]),
        (&json!("bad"), &json!("c"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn joining_a_turn_while_its_log_is_read_skips_nothing() {
    let app = TestApp::start(ScriptedEngine::default()).await;
    let mut first = app.socket().await;
    for turn in ["one", "two", "three"] {
        first.ask("c", turn, "hello there").await;
        first.until("done").await;
    }
    let mut second = app.socket().await;
    second
        .send(json!({ "type": "resume", "conversationId": "c", "after": 0 }))
        .await;
    second.ask("c", "three", "hello there").await;
    let mut seen = 0;
    loop {
        let frame = second.recv().await;
        let Some(seq) = frame["seq"].as_u64() else { continue };
        assert!(
            frame["firstSeq"].as_u64().unwrap_or(seq) <= seen + 1,
            "a gap before {frame}"
        );
        seen = seen.max(seq);
        if frame["type"] == "done" && frame["turnId"] == "three" {
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_sidecar_on_the_same_data_is_refused() {
    let app = TestApp::start(held()).await;
    let mut socket = app.socket().await;
    socket.ask("c", "t", "hello").await;
    socket.until("started").await;
    let refused = app.start_beside().await;
    assert!(refused.contains("another sidecar uses the data folder"), "{refused}");
    app.engine.release(2);
    assert_eq!(end_of_turn(&app, "c").await["finishReason"], "stop");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_receives_how_many_turns_are_ahead() {
    let app = TestApp::start(held()).await;
    let mut first = app.socket().await;
    first.ask("c", "t1", "one").await;
    first.until("started").await;
    let mut second = app.socket().await;
    second.ask("c", "t2", "two").await;
    let queued = second.until("queued").await;
    let ahead = |frame: Option<&Value>| frame.map(|frame| (frame["turnId"].clone(), frame["ahead"].clone()));
    assert_eq!(ahead(queued.last()), Some((json!("t2"), json!(1))));
    let mut third = app.socket().await;
    third.ask("c", "t3", "three").await;
    assert_eq!(ahead(third.until("queued").await.last()), Some((json!("t3"), json!(2))));
    app.engine.release(2);
    assert_eq!(ahead(third.until("queued").await.last()), Some((json!("t3"), json!(1))));
    app.engine.release(1_000);
    third.until("done").await;
}
