//! A relay over HTTP, with a server that sends the bytes of a test.

use std::time::Duration;

use expect_test::{Expect, expect};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::{Setup, user_message};
use crate::{HttpRelay, NarratorError, Relay, RelayError, RelayMessage, WaitFor};

fn message() -> RelayMessage {
    RelayMessage {
        workspace_id: "w".to_owned(),
        conversation_id: "c".to_owned(),
        event_id: "e".to_owned(),
        task_id: "t".to_owned(),
        agent_id: "controller".to_owned(),
        message: "How is \"it\"?".to_owned(),
    }
}

/// Reads one request to its end and returns its text.
async fn read(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    loop {
        let mut piece = [0; 4_096];
        let length = stream.read(&mut piece).await.expect("the relay asks");
        text.extend_from_slice(&piece[..length]);
        let shown = String::from_utf8_lossy(&text);
        let Some((head, body)) = shown.split_once("\r\n\r\n") else {
            continue;
        };
        let header = head
            .lines()
            .find_map(|line| line.to_lowercase().strip_prefix("content-length: ").map(str::to_owned));
        let wanted: usize = header.and_then(|length| length.parse().ok()).unwrap_or(0);
        if body.len() >= wanted {
            return shown.into_owned();
        }
    }
}

/// Starts a server that answers one request with these bytes, and closes. Its task returns the request.
async fn server(answer: Vec<u8>) -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let url = format!("http://{}/relay", listener.local_addr().expect("it is bound"));
    let served = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("the relay connects");
        let asked = read(&mut stream).await;
        // The relay may close the connection before all is written.
        let _ = stream.write_all(&answer).await;
        asked
    });
    (url, served)
}

fn response(status: &str, kind: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}")
        .into_bytes()
}

/// Checks the relay's result for a server that answers with these bytes.
async fn check(answer: Vec<u8>, expected: Expect) {
    let (url, served) = server(answer).await;
    let relay = HttpRelay::new(&url).expect("the address is valid");
    let shown = match relay.ask(message()).await {
        Ok(answer) => format!("{:?}", answer.remarks),
        Err(error) => error.to_string(),
    };
    served.await.expect("the server was asked");
    expected.assert_eq(&shown);
}

fn json(body: &str) -> Vec<u8> {
    response("200 OK", "application/json", body)
}

#[tokio::test]
async fn a_message_is_posted_as_json() {
    let (url, served) = server(json(r#"{"text": "Well."}"#)).await;
    let relay = HttpRelay::new(&url).expect("the address is valid");
    relay.ask(message()).await.expect("it is answered");
    let asked = served.await.expect("the server was asked");
    let (head, body) = asked.split_once("\r\n\r\n").expect("a request has a body");
    assert!(head.starts_with("POST /relay HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("content-type: application/json"), "{head}");
    expect![[r#"{"workspaceId":"w","conversationId":"c","eventId":"e","taskId":"t","agentId":"controller","message":"How is \"it\"?"}"#]].assert_eq(body);
}

#[tokio::test]
async fn answers_are_parsed() {
    check(
        json(r#"{"text": "Well."}"#),
        expect![[r#"[Remark { text: "Well.", headline: None, playbook_id: None, suppressed: false }]"#]],
    )
    .await;
    check(
        json(r#"{"narration": "Well.", "headline": "W", "playbookId": "p", "other": {}}"#),
        expect![[r#"[Remark { text: "Well.", headline: Some("W"), playbook_id: Some("p"), suppressed: false }]"#]],
    )
    .await;
    check(
        json(r#"{"narrations": [{"text": "a"}, {"narration": "b", "suppressed": true}]}"#),
        expect![[r#"[Remark { text: "a", headline: None, playbook_id: None, suppressed: false }, Remark { text: "b", headline: None, playbook_id: None, suppressed: true }]"#]],
    )
    .await;
}

#[tokio::test]
async fn invalid_answers_are_named() {
    check(
        response("200 OK", "text/html", "<html>hello</html>"),
        expect!["the relay's answer (text/html) can't be used: expected value at line 1 column 1"],
    )
    .await;
    check(
        json("{}"),
        expect![[r#"the relay's answer (application/json) can't be used: it has neither "text" nor "narration""#]],
    )
    .await;
    check(
        json(r#"{"narrations": []}"#),
        expect!["the relay's answer (application/json) can't be used: it has 0 narrations, not 1 to 64"],
    )
    .await;
    check(
        json(r#"{"text": "a", "narration": "b"}"#),
        expect![[r#"the relay's answer (application/json) can't be used: it has both "text" and "narration""#]],
    )
    .await;
    check(
        response("500 Internal Server Error", "text/plain", "no\nluck"),
        expect!["the relay answered 500 Internal Server Error: no luck"],
    )
    .await;
    check(
        response("503 Service Unavailable", "text/plain", ""),
        expect!["the relay answered 503 Service Unavailable"],
    )
    .await;
    check(
        json(&format!(r#"{{"text": "{}"}}"#, "x".repeat(2 << 20))),
        expect!["the relay's answer is larger than 1048576 bytes"],
    )
    .await;
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let answer = "HTTP/1.1 307 Temporary Redirect\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n";
    check(answer.into(), expect!["the relay answered 307 Temporary Redirect"]).await;
}

#[tokio::test]
async fn broken_connections_are_named() {
    for answer in [
        "",
        "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"text\"",
        "nonsense\r\n\r\n",
    ] {
        let (url, served) = server(answer.into()).await;
        let relay = HttpRelay::new(&url).expect("the address is valid");
        let failed = relay.ask(message()).await.expect_err("it is no answer");
        served.await.expect("the server was asked");
        assert!(matches!(failed, RelayError::Failed { .. }), "{failed:?}");
        assert!(
            !failed.to_string().contains("127.0.0.1"),
            "the address may hold a password: {failed}"
        );
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let url = format!("http://{}/", listener.local_addr().expect("it is bound"));
    drop(listener);
    let refused = HttpRelay::new(&url).expect("the address is valid").ask(message()).await;
    let refused = refused.expect_err("the port is closed").to_string();
    assert!(refused.starts_with("the relay can't be asked: "), "{refused}");
}

#[tokio::test]
async fn a_hanging_relay_times_out() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let relay = HttpRelay::new(&format!("http://{}", listener.local_addr().expect("it is bound")));
    let setup = Setup::with(relay.expect("the address is valid"), |settings| {
        settings.relay_limit = Duration::from_millis(50);
    });
    setup.register();
    let given_up = setup.narrator.send(user_message("Hello?"), WaitFor::Answer).await;
    assert!(
        matches!(given_up, Err(NarratorError::Relay(RelayError::Timeout { .. }))),
        "{given_up:?}"
    );
    assert_eq!(
        setup.line_types().await,
        ["USER_MESSAGE", "ERROR", "WORKSPACE_NARRATOR_COMPLETED"]
    );
}

#[test]
fn an_invalid_address_is_named_without_its_password() {
    for url in ["", "relay", "ftp://host/", "http://"] {
        assert!(
            matches!(HttpRelay::new(url), Err(NarratorError::BadRelay { .. })),
            "{url:?}"
        );
    }
    let refused = HttpRelay::new("ftp://user:secret@host/")
        .expect_err("it is invalid")
        .to_string();
    assert!(!refused.contains("secret"), "{refused}");
    let relay = HttpRelay::new("https://user:secret@host/").expect("it is valid");
    assert!(!format!("{relay:?}").contains("secret"));
}
