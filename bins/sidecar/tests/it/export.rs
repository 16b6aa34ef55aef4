//! A conversation is exported and imported into another sidecar, or under another id, and nothing of it is lost.

use engine::ScriptedEngine;
use serde_json::json;

use crate::client::{HttpRequest, HttpResponse, TestApp, kinds};

async fn post(app: &TestApp, path: &str, body: &str) -> HttpResponse {
    app.http(HttpRequest {
        method: "POST",
        path,
        body,
        ..HttpRequest::default()
    })
    .await
}

/// Starts a sidecar with a conversation `c` of three turns, one of them a sibling.
async fn written() -> TestApp {
    let app = TestApp::start(ScriptedEngine::default()).await;
    let mut socket = app.socket().await;
    socket.ask("c", "t1", "one").await;
    socket.until("done").await;
    socket.ask("c", "t2", "zwei \"ä\" \n 🙂").await;
    socket.until("done").await;
    socket
        .send(json!({ "type": "regenerate", "turnId": "t2", "newTurnId": "t3" }))
        .await;
    socket.until("done").await;
    app
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_moves_and_goes_on() {
    let app = written().await;
    let exported = app.get("/conversations/c/export").await;
    assert_eq!(
        (exported.status, exported.header("content-type")),
        (200, Some("application/jsonl; charset=utf-8"))
    );
    let last_seq = app.get("/conversations/c").await.json()["lastSeq"].clone();
    let other = TestApp::start(ScriptedEngine::default()).await;
    let imported = post(&other, "/conversations/import", &exported.body).await;
    assert_eq!(
        (imported.status, imported.header("location")),
        (201, Some("/conversations/c"))
    );
    assert_eq!(
        imported.json(),
        json!({ "conversationId": "c", "turns": 3, "events": last_seq })
    );
    assert_eq!(other.get("/conversations/c/export").await.body, exported.body);
    for path in ["/conversations/c", "/conversations/c/events"] {
        let (before, after) = (app.get(path).await.json(), other.get(path).await.json());
        assert_eq!(before["events"], after["events"]);
        assert_eq!(
            (&before["headTurnId"], &before["lastSeq"]),
            (&after["headTurnId"], &after["lastSeq"])
        );
    }
    let mut socket = other.socket().await;
    socket.ask("c", "t4", "four").await;
    let frames = socket.until("done").await;
    assert_eq!(
        (kinds(&frames), &frames[1]["parentTurnId"]),
        ("ready user started token done".to_owned(), &json!("t3"))
    );
    let asked = other.engine.requests().pop().expect("the engine was asked");
    let texts: Vec<_> = asked.messages.iter().map(|message| message.text.as_str()).collect();
    assert_eq!(
        texts,
        ["one", "echo: one", "zwei \"ä\" \n 🙂", "echo: zwei \"ä\" \n 🙂", "four"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_is_all_or_nothing() {
    let app = written().await;
    let exported = app.get("/conversations/c/export").await.body;
    let cut: String = exported.split_inclusive('\n').take(6).collect();
    let other_agent = exported.replacen("\"system_prompt\":\"", "\"system_prompt\":\"Obey. ", 1);
    let other_event = exported.replacen("\"json\":{\"token\"", "\"json\":{\"type\":\"done\",\"token\"", 1);
    assert!(other_agent != exported && other_event != exported, "{exported}");
    for (path, body, status, code, expected) in [
        (
            "/conversations/import",
            exported.as_str(),
            409,
            "conflict",
            "exists already",
        ),
        ("/conversations/import?as=d", &cut, 400, "invalid_request", "line 6"),
        (
            "/conversations/import?as=d",
            "nonsense",
            400,
            "invalid_request",
            "line 1",
        ),
        ("/conversations/import?as=d", "", 400, "invalid_request", "no header"),
        (
            "/conversations/import?as=d",
            &other_agent,
            400,
            "invalid_request",
            "has the hash",
        ),
        (
            "/conversations/import?as=d",
            &other_event,
            400,
            "invalid_request",
            "envelope",
        ),
        (
            "/conversations/import?as=a%20b",
            exported.as_str(),
            400,
            "invalid_request",
            "conversationId",
        ),
    ] {
        let refused = post(&app, path, body).await;
        assert_eq!(
            (refused.status, &refused.json()["code"]),
            (status, &json!(code)),
            "{}",
            refused.body
        );
        assert!(
            refused.body.contains(expected),
            "{} doesn't say {expected}",
            refused.body
        );
    }
    assert_eq!(app.get("/conversations/d").await.status, 404);
    let beside = post(&app, "/conversations/import?as=d", &exported).await;
    assert_eq!((beside.status, &beside.json()["conversationId"]), (201, &json!("d")));
    let again = app.get("/conversations/d/export").await.body;
    assert_eq!(again.replacen("\"id\":\"d\"", "\"id\":\"c\"", 1), exported);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_in_which_a_turn_runs_is_busy() {
    let app = TestApp::start(ScriptedEngine::default().held()).await;
    let mut socket = app.socket().await;
    socket.ask("import", "t", "one").await;
    socket.until("started").await;
    let busy = app.get("/conversations/import/export").await;
    assert_eq!((busy.status, &busy.json()["code"]), (429, &json!("busy")));
    app.engine.release(1_000);
    socket.until("done").await;
    assert_eq!(app.get("/conversations/import/export").await.status, 200);
    assert_eq!(app.get("/conversations/nobody/export").await.status, 404);
    // A conversation may have any name, also that of a route.
    assert_eq!(
        app.get("/conversations/import").await.json()["lastSeq"].as_u64(),
        Some(5)
    );
    let wrong = post(&app, "/conversations/c", "").await;
    assert_eq!((wrong.status, wrong.header("allow")), (405, Some("GET, DELETE")));
}
