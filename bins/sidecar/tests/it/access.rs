//! Who gets in: host, origin and key, on REST and on the socket.

use engine::ScriptedEngine;
use protocol::ApiKey;
use serde_json::json;

use crate::client::{Http, Socket, TestApp};

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
            .http(Http {
                path: "/agents",
                headers: &headers,
                ..Http::default()
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
            .http(Http {
                path: "/agents",
                headers: &headers,
                ..Http::default()
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
        .http(Http {
            method: "OPTIONS",
            path: "/agents/x",
            headers: &headers,
            ..Http::default()
        })
        .await;
    assert_eq!(
        (preflight.status, preflight.header("access-control-allow-methods")),
        (204, Some("GET, POST, PUT, DELETE"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_wanted_everywhere_but_for_health() {
    let app = TestApp::start_with(ScriptedEngine::default(), |settings| {
        settings.api_key = Some(ApiKey::new("secret".to_owned()))
    })
    .await;
    let status = async |path: &str, key: &str| {
        let headers = [("authorization", key)];
        let headers: &[_] = if key.is_empty() { &[] } else { &headers };
        app.http(Http {
            path,
            headers,
            ..Http::default()
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
        .http(Http {
            path: "/agents",
            headers: &[("origin", page)],
            ..Http::default()
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
    by_header.say(json!({ "agentId": "planner" })).await;
    assert_eq!(by_header.hear().await["type"], "ready");

    let mut by_frame = app.socket().await;
    by_frame.say(json!({ "agentId": "planner", "apiKey": "secret" })).await;
    assert_eq!(by_frame.hear().await["type"], "ready");

    for frame in [
        json!({ "agentId": "planner" }),
        json!({ "agentId": "planner", "apiKey": "wrong" }),
        json!({ "type": "ping" }),
    ] {
        let mut socket = app.socket().await;
        socket.say(frame).await;
        assert_eq!(socket.hear().await["code"], "unauthorised");
        assert_eq!(socket.closed().await, 4401);
    }
}
