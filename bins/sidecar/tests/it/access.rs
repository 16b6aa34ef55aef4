//! Access control: host, origin and key, on REST and on the socket.

use engine::ScriptedEngine;
use protocol::ApiKey;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::client::{HttpRequest, Socket, TestApp};

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_host_is_refused() {
    let app = TestApp::start(ScriptedEngine::default()).await;
    for (host, status) in [
        ("localhost:8000", 200),
        ("127.0.0.1", 200),
        ("[::1]:1", 200),
        ("evil.example", 403),
        ("127.0.0.1.evil.example", 403),
    ] {
        let headers = [("host", host)];
        let answer = app
            .http(HttpRequest {
                path: "/agents",
                headers: &headers,
                ..HttpRequest::default()
            })
            .await;
        assert_eq!(answer.status, status, "{host}: {}", answer.body);
        assert_eq!(
            Socket::open(&app.authority(), &headers).await.err(),
            (status == 403).then_some(403),
            "{host}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_page_needs_an_origin_of_this_machine() {
    let app = TestApp::start(ScriptedEngine::default()).await;
    for (origin, allowed) in [
        ("http://localhost:5173", true),
        ("null", false),
        ("https://evil.example", false),
        ("http://localhost.evil.com", false),
    ] {
        let headers = [("origin", origin)];
        let answer = app
            .http(HttpRequest {
                path: "/agents",
                headers: &headers,
                ..HttpRequest::default()
            })
            .await;
        assert_eq!(answer.status, if allowed { 200 } else { 403 }, "{origin}");
        assert_eq!(answer.header("access-control-allow-origin"), allowed.then_some(origin));
        assert_eq!(
            Socket::open(&app.authority(), &headers).await.err(),
            (!allowed).then_some(403),
            "{origin}"
        );
    }
    let headers = [
        ("origin", "http://localhost:5173"),
        ("access-control-request-method", "PUT"),
    ];
    let preflight = app
        .http(HttpRequest {
            method: "OPTIONS",
            path: "/agents/x",
            headers: &headers,
            ..HttpRequest::default()
        })
        .await;
    assert_eq!(
        (preflight.status, preflight.header("access-control-allow-methods")),
        (204, Some("GET, POST, PUT, DELETE"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_required_everywhere_but_for_health() {
    let app = TestApp::start_with(ScriptedEngine::default(), |settings| {
        settings.api_key = Some(ApiKey::new("secret".to_owned()))
    })
    .await;
    let status = async |path: &str, key: &str| {
        let headers = [("authorization", key)];
        let headers: &[_] = if key.is_empty() { &[] } else { &headers };
        app.http(HttpRequest {
            path,
            headers,
            ..HttpRequest::default()
        })
        .await
        .status
    };
    assert_eq!((status("/healthz", "").await, status("/readyz", "").await), (200, 200));
    assert_eq!((status("/agents", "").await, status("/nowhere", "").await), (401, 401));
    assert_eq!(
        (
            status("/agents", "Bearer wrong").await,
            status("/agents", "Basic secret").await
        ),
        (401, 401)
    );
    assert_eq!(status("/agents", "Bearer secret").await, 200);
    let page = "http://localhost:5173";
    let refused = app
        .http(HttpRequest {
            path: "/agents",
            headers: &[("origin", page)],
            ..HttpRequest::default()
        })
        .await;
    assert_eq!(refused.status, 401);
    assert_eq!(
        refused.header("access-control-allow-origin"),
        Some(page),
        "a page may read why it is refused"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_may_bring_its_key_in_the_first_frame() {
    let app = TestApp::start_with(ScriptedEngine::default(), |settings| {
        settings.api_key = Some(ApiKey::new("secret".to_owned()))
    })
    .await;
    assert_eq!(
        Socket::open(&app.authority(), &[("authorization", "Bearer wrong")])
            .await
            .err(),
        Some(401)
    );

    let mut by_header = Socket::open(&app.authority(), &[("authorization", "Bearer secret")])
        .await
        .expect("the key is right");
    by_header.send(json!({ "agentId": "planner" })).await;
    assert_eq!(by_header.recv().await["type"], "ready");

    let mut by_frame = app.socket().await;
    by_frame.send(json!({ "agentId": "planner", "apiKey": "secret" })).await;
    assert_eq!(by_frame.recv().await["type"], "ready");

    for frame in [
        json!({ "agentId": "planner" }),
        json!({ "agentId": "planner", "apiKey": "wrong" }),
        json!({ "type": "ping" }),
    ] {
        let mut socket = app.socket().await;
        socket.send(frame).await;
        assert_eq!(socket.recv().await["code"], "unauthorised");
        assert_eq!(socket.close_code().await, 4401);
    }
}

/// Sends a request line with these header lines, plain or as a handshake; returns the status and the head of the
/// response.
async fn head(app: &TestApp, path: &str, lines: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(app.authority()).await.expect("the sidecar listens");
    let request = format!("GET {path} HTTP/1.1\r\n{lines}\r\n");
    stream
        .write_all(request.as_bytes())
        .await
        .expect("the request is taken");
    let mut head = String::new();
    let mut answer = BufReader::new(stream);
    while !head.ends_with("\r\n\r\n") {
        let read = answer.read_line(&mut head).await.expect("the head is text");
        assert_ne!(read, 0, "no answer to {lines:?}: {head:?}");
    }
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.expect("a status line"), head)
}

const HANDSHAKE: &str = "upgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn hosts_and_origins_are_checked_alike_on_rest_and_on_the_socket() {
    let app = TestApp::start_with(ScriptedEngine::default(), |settings| {
        settings.allowed_origins = vec!["https://app.example".to_owned()];
    })
    .await;
    let host = format!("host: {}\r\n", app.authority());
    let of_this_host = |line: &str| format!("{host}{line}");
    for (lines, is_let_in) in [
        (host.clone(), true),
        ("host: LOCALHOST\r\n".to_owned(), true),
        ("host: [::1]:8000\r\n".to_owned(), true),
        ("host: [0:0:0:0:0:0:0:1]\r\n".to_owned(), true),
        (String::new(), false),
        ("host:\r\n".to_owned(), false),
        (of_this_host("host: evil.example\r\n"), false),
        (of_this_host(&host), false),
        ("host: evil.example\r\n".to_owned(), false),
        ("host: 127.0.0.1.evil.example\r\n".to_owned(), false),
        ("host: localhost.evil.com\r\n".to_owned(), false),
        ("host: [::2]\r\n".to_owned(), false),
        ("host: [::ffff:10.0.0.1]\r\n".to_owned(), false),
        ("host: ::1\r\n".to_owned(), false),
        ("host: app.example\r\n".to_owned(), false),
        (of_this_host("origin: http://localhost:5173\r\n"), true),
        (of_this_host("origin: https://[::1]:3000\r\n"), true),
        (of_this_host("origin: https://app.example\r\n"), true),
        (of_this_host("origin: http://app.example\r\n"), false),
        (of_this_host("origin: https://app.example:8443\r\n"), false),
        (of_this_host("origin: https://app.example/\r\n"), false),
        (of_this_host("origin: https://app.example.evil.com\r\n"), false),
        (of_this_host("origin: null\r\n"), false),
        (of_this_host("origin:\r\n"), false),
        (of_this_host("origin: http://localhost.evil.com\r\n"), false),
        (of_this_host("origin: http://127.0.0.1.evil.example\r\n"), false),
        (of_this_host("origin: *\r\n"), false),
        (
            of_this_host("origin: http://localhost\r\norigin: https://evil.example\r\n"),
            false,
        ),
        (
            of_this_host("origin: http://localhost\r\norigin: http://localhost\r\n"),
            false,
        ),
    ] {
        let (rest, answer) = head(&app, "/agents", &lines).await;
        let (socket, _) = head(&app, "/ws/chat", &format!("{lines}{HANDSHAKE}")).await;
        if is_let_in {
            assert_eq!((rest, socket), (200, 101), "{lines:?}");
        } else {
            // HTTP/1.1 requires exactly one host: the parser answers 400 before names are compared.
            assert!(
                rest == socket && [400, 403].contains(&rest),
                "{lines:?}: {rest}, {socket}"
            );
            assert!(!answer.contains("access-control-allow-origin"), "{lines:?}: {answer}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_key_and_a_wrong_one_are_answered_alike() {
    let app = TestApp::start_with(ScriptedEngine::default(), |settings| {
        settings.api_key = Some(ApiKey::new("secret".to_owned()));
    })
    .await;
    let answer = async |headers: &[(&str, &str)]| {
        let answer = app
            .http(HttpRequest {
                path: "/agents",
                headers,
                ..HttpRequest::default()
            })
            .await;
        (answer.status, answer.stable_headers(), answer.body)
    };
    let missing = answer(&[]).await;
    assert_eq!(missing.0, 401);
    for wrong in [
        "Bearer wrong",
        "Bearer secre",
        "Bearer secrets",
        "Basic secret",
        "Bearer",
        "",
    ] {
        assert_eq!(answer(&[("authorization", wrong)]).await, missing, "{wrong:?}");
    }
    let mut frames = Vec::new();
    for frame in [
        json!({ "agentId": "planner" }),
        json!({ "agentId": "planner", "apiKey": "wrong" }),
    ] {
        let mut socket = app.socket().await;
        socket.send(frame).await;
        frames.push(socket.recv().await);
    }
    assert_eq!(frames[0], frames[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_over_its_rate_is_refused_with_retry_after() {
    let app = TestApp::start_with(ScriptedEngine::default(), |settings| {
        settings.rate_per_minute = Some(2);
    })
    .await;
    // The socket counts as one, its first turn as another.
    let mut socket = app.socket().await;
    socket.ask("c", "t1", "hi").await;
    socket.until("done").await;
    socket.ask("c", "t2", "hi").await;
    let refused = socket.recv().await;
    assert_eq!(
        (refused["code"].clone(), refused["turnId"].clone()),
        (json!("busy"), json!("t2"))
    );
    socket.send(json!({ "type": "regenerate", "turnId": "t1" })).await;
    assert_eq!(socket.recv().await["code"], "busy");
    assert_eq!(Socket::open(&app.authority(), &[]).await.err(), Some(429));
    let refused = app
        .http(HttpRequest {
            method: "POST",
            path: "/narrator/messages",
            headers: &[("content-type", "application/json")],
            body: r#"{"workspaceId":"w","message":"hi"}"#,
        })
        .await;
    assert_eq!((refused.status, refused.json()["code"].clone()), (429, json!("busy")));
    let wait = refused
        .header("retry-after")
        .and_then(|seconds| seconds.parse::<u64>().ok());
    assert!(wait.is_some_and(|seconds| (1..=30).contains(&seconds)), "{wait:?}");
    assert_eq!(app.get("/agents").await.status, 200, "reading is not counted");
}
