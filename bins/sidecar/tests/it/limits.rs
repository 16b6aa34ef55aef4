//! Clients that are slow, or send nothing.

use std::time::Duration;

use engine::ScriptedEngine;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::TestApp;

/// A short limit: actix' clock moves every half second, and may miss a shorter one.
const SHORT: Duration = Duration::from_millis(600);

/// Sends a piece of a request, and reads to the end of the connection, which only the server can end.
async fn answer_to(app: &TestApp, piece: &str) -> String {
    let mut stream = TcpStream::connect(app.authority()).await.expect("the sidecar listens");
    stream.write_all(piece.as_bytes()).await.expect("the piece is taken");
    let mut answer = Vec::new();
    // A connection that is reset has ended too.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).expect("answers are UTF-8")
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_head_is_cut() {
    let app = TestApp::start_with(ScriptedEngine::default(), |settings| {
        settings.http.head = SHORT;
    })
    .await;
    for piece in [
        "",
        "GET /agents HT",
        "GET /agents HTTP/1.1\r\nhost: localhost\r\nx-slow: ",
    ] {
        let answer = answer_to(&app, piece).await;
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 408"),
            "{piece:?}: {answer:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_body_is_cut() {
    let app = TestApp::start_with(ScriptedEngine::default(), |settings| {
        settings.http.body = Duration::from_millis(20);
    })
    .await;
    let head = format!(
        "host: {}\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{{",
        app.authority()
    );
    for line in [
        "PUT /agents/slow HTTP/1.1",
        "POST /narrator/messages HTTP/1.1",
        "POST /controllers HTTP/1.1",
        "POST /conversations/import HTTP/1.1",
    ] {
        let answer = answer_to(&app, &format!("{line}\r\n{head}")).await;
        assert!(answer.starts_with("HTTP/1.1 408"), "{line:?}: {answer:?}");
        assert!(answer.contains("invalid_request"), "{line:?}: {answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_asks_no_more_is_closed() {
    let app = TestApp::start_with(ScriptedEngine::default(), |settings| {
        settings.http.idle = SHORT;
    })
    .await;
    let request = format!("GET /healthz HTTP/1.1\r\nhost: {}\r\n\r\n", app.authority());
    assert!(answer_to(&app, &request).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_outlives_the_limits_of_plain_requests() {
    let app = TestApp::start_with(ScriptedEngine::default().held(), |settings| {
        settings.http.idle = SHORT;
    })
    .await;
    let mut socket = app.socket().await;
    socket.ask("c", "t", "hi").await;
    socket.until("started").await;
    // By then two connections beside it have been idle for too long.
    let request = format!("GET /healthz HTTP/1.1\r\nhost: {}\r\n\r\n", app.authority());
    answer_to(&app, &request).await;
    answer_to(&app, &request).await;
    app.engine.release(100);
    socket.until("done").await;
}
