//! Frames and close codes.

use std::time::Duration;

use engine::ScriptedEngine;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use crate::client::{TestApp, kinds, no_gap, text};
use crate::wait::wait_until;

/// Sends a first frame that is refused, and checks the codes of the error and of the close.
async fn check_refused(app: &TestApp, frame: &str, code: &str, close: u16) {
    let mut socket = app.socket().await;
    socket.send_text(frame.to_owned()).await;
    let error = socket.recv().await;
    assert_eq!(
        (error["type"].clone(), error["code"].clone()),
        (json!("error"), json!(code)),
        "{frame}"
    );
    assert_eq!(socket.close_code().await, close, "{frame}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_first_frame_is_named_and_ends_the_socket() {
    let app = TestApp::start(ScriptedEngine::default()).await;
    check_refused(&app, "{", "invalid_request", 4400).await;
    check_refused(&app, "[]", "invalid_request", 4400).await;
    check_refused(&app, r#"{"type":"dance"}"#, "invalid_request", 4400).await;
    check_refused(&app, r#"{"message":"hi"}"#, "invalid_request", 4400).await;
    check_refused(&app, r#"{"agentId":"planner","message":" "}"#, "invalid_request", 4400).await;
    check_refused(
        &app,
        r#"{"agentId":"planner","options":{"heat":1}}"#,
        "invalid_request",
        4400,
    )
    .await;
    check_refused(
        &app,
        r#"{"agentId":"planner","conversationId":"../x"}"#,
        "invalid_request",
        4400,
    )
    .await;
    check_refused(&app, r#"{"agentId":"nobody"}"#, "agent_not_found", 4404).await;
    check_refused(&app, r#"{"agentId":"nobody","message":"hi"}"#, "agent_not_found", 4404).await;
    check_refused(
        &app,
        r#"{"type":"resume","conversationId":"nothing"}"#,
        "conversation_not_found",
        4404,
    )
    .await;
    let long = json!({ "agentId": "planner", "message": "x".repeat(300 << 10) }).to_string();
    check_refused(&app, &long, "too_large", 1009).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_frame_after_a_good_one_keeps_the_socket() {
    let app = TestApp::start(ScriptedEngine::default()).await;
    let mut socket = app.socket().await;
    socket
        .send(json!({ "agentId": "planner", "conversationId": "c" }))
        .await;
    let ready = socket.recv().await;
    assert_eq!(
        (ready["type"].clone(), ready["lastSeq"].clone(), ready["model"].clone()),
        (json!("ready"), json!(0), json!("scripted"))
    );
    for (frame, code) in [
        ("{", "invalid_request"),
        (r#"{"agentId":"nobody","message":"hi","turnId":"t"}"#, "agent_not_found"),
    ] {
        socket.send_text(frame.to_owned()).await;
        assert_eq!(socket.recv().await["code"], code);
    }
    socket.send(json!({ "type": "ping", "id": "p" })).await;
    assert_eq!(socket.recv().await, json!({ "type": "pong", "id": "p" }));
    socket.send(json!({ "message": "still here" })).await;
    assert_eq!(text(&socket.until("done").await), "echo: still here");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_alone_is_hello_too() {
    let app = TestApp::start(ScriptedEngine::default()).await;
    let mut socket = app.socket().await;
    socket
        .send(json!({ "agent_id": "planner", "user_message": "one two", "options": { "max_new_tokens": 2 } }))
        .await;
    let frames = socket.until("done").await;
    assert_eq!(
        (kinds(&frames), text(&frames)),
        ("ready user started token done".to_owned(), "echo: one ".to_owned())
    );
    let last = no_gap(0, &frames);
    let conversation = frames[1]["conversationId"].clone();
    assert_eq!(frames.last().expect("a done")["finishReason"], "length");

    // The next message goes on with the same conversation, agent and options.
    socket.send(json!({ "message": "three four" })).await;
    let frames = socket.until("done").await;
    assert_eq!(
        (text(&frames), frames[0]["conversationId"].clone()),
        ("echo: three ".to_owned(), conversation)
    );
    no_gap(last, &frames);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_names_another_conversation_binds_nothing() {
    let app = TestApp::start(ScriptedEngine::default()).await;
    let mut socket = app.socket().await;
    socket
        .send(json!({ "agentId": "planner", "conversationId": "home" }))
        .await;
    socket.recv().await;
    socket.send(json!({ "message": "one", "conversationId": "away" })).await;
    socket.until("done").await;
    socket.send(json!({ "message": "two" })).await;
    assert_eq!(socket.recv().await["conversationId"], "home");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_without_a_first_frame_is_closed() {
    let app = TestApp::start_with(ScriptedEngine::default(), |settings| {
        settings.limits.hello_timeout_ms = 1
    })
    .await;
    assert_eq!(app.socket().await.close_code().await, 4408);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_answers_no_ping_is_closed() {
    let app = TestApp::start_with(ScriptedEngine::default(), |settings| {
        settings.ping_period = Duration::from_millis(5)
    })
    .await;
    let mut socket = app.socket().await;
    socket.send(json!({ "agentId": "planner" })).await;
    // This client answers pings only while it reads, and it doesn't.
    wait_until("the socket is closed", async || app.running().open_sockets() == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_that_are_no_text_or_too_big_end_the_socket() {
    let app = TestApp::start(ScriptedEngine::default()).await;
    let frame =
        |data: Data, bytes: Vec<u8>, is_last| Message::Frame(Frame::message(bytes, OpCode::Data(data), is_last));
    let too_big = json!({ "agentId": "planner", "padding": "x".repeat(1 << 20) })
        .to_string()
        .into_bytes();
    let half = vec![b'x'; 600 << 10];
    for (messages, close) in [
        (vec![Message::binary(vec![1, 2])], 1003),
        (vec![frame(Data::Text, vec![0xff, 0xfe], true)], 1007),
        (vec![frame(Data::Text, too_big, true)], 1009),
        (
            vec![
                frame(Data::Text, half.clone(), false),
                frame(Data::Continue, half, true),
            ],
            1009,
        ),
        (vec![frame(Data::Continue, vec![b'x'], true)], 1002),
    ] {
        let mut socket = app.socket().await;
        for message in messages {
            socket.send_raw(message).await;
        }
        assert_eq!(socket.close_code().await, close);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_may_come_in_pieces() {
    let app = TestApp::start(ScriptedEngine::default()).await;
    let mut socket = app.socket().await;
    let hello = json!({ "agentId": "planner", "message": "grüße" })
        .to_string()
        .into_bytes();
    // The cut goes through a character.
    let cut = hello.iter().position(|byte| *byte > 127).expect("there is an umlaut") + 1;
    let (first, second) = hello.split_at(cut);
    socket
        .send_raw(Message::Frame(Frame::message(
            first.to_vec(),
            OpCode::Data(Data::Text),
            false,
        )))
        .await;
    socket.send_raw(Message::Ping(vec![1].into())).await;
    socket
        .send_raw(Message::Frame(Frame::message(
            second.to_vec(),
            OpCode::Data(Data::Continue),
            true,
        )))
        .await;
    assert_eq!(text(&socket.until("done").await), "echo: grüße");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_subprotocol_is_offered() {
    let app = TestApp::start(ScriptedEngine::default()).await;
    for (wanted, status) in [("sidecar.v1", None), ("other, sidecar.v1", None)] {
        assert_eq!(
            crate::client::Socket::open(&app.authority(), &[("sec-websocket-protocol", wanted)])
                .await
                .err(),
            status
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn conversations_run_side_by_side_on_one_socket() {
    let app = TestApp::start(ScriptedEngine::default().held()).await;
    let mut socket = app.socket().await;
    socket.ask("a", "t", "one").await;
    socket.ask("b", "t", "two").await;
    let mut started: Vec<Value> = Vec::new();
    while started.len() < 2 {
        started.extend(socket.until("started").await.pop());
    }
    app.engine.release(100);
    let mut frames = Vec::new();
    while frames.iter().filter(|frame: &&Value| frame["type"] == "done").count() < 2 {
        frames.push(socket.recv().await);
    }
    for (id, expected) in [("a", "echo: one"), ("b", "echo: two")] {
        let own: Vec<Value> = frames
            .iter()
            .filter(|frame| frame["conversationId"] == id)
            .cloned()
            .collect();
        assert_eq!(text(&own), expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_closes_sockets_after_their_turns_have_ended() {
    let app = TestApp::start(ScriptedEngine::default().held()).await;
    let mut socket = app.socket().await;
    socket.ask("c", "t", "hello").await;
    socket.until("started").await;
    let engine = app.engine.clone();
    let stopping = tokio::spawn(app.stop());
    engine.release(1);
    let frames = socket.until("error").await;
    assert_eq!(frames.last().expect("an error")["code"], "interrupted");
    assert_eq!(socket.close_code().await, 1001);
    stopping.await.expect("no panic");
}
