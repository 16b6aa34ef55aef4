//! Turns without a socket: started, cancelled and answered over HTTP.

use engine::{Script, ScriptedEngine, ToolCall};
use serde_json::{Value, json};

use crate::client::{HttpRequest, HttpResponse, Socket, TestApp, kinds, text};

async fn post(app: &TestApp, path: &str, body: &Value) -> HttpResponse {
    app.http(HttpRequest {
        method: "POST",
        path,
        body: &body.to_string(),
        ..HttpRequest::default()
    })
    .await
}

/// Opens a socket that reads a conversation from its start.
async fn reader(app: &TestApp, conversation: &str) -> Socket {
    let mut socket = app.socket().await;
    socket
        .send(json!({ "type": "resume", "conversationId": conversation, "after": 0 }))
        .await;
    socket
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_runs_without_a_socket() {
    let app = TestApp::start(ScriptedEngine::default()).await;
    let body = json!({ "message": "hi", "agentId": "planner", "turnId": "t", "options": { "seed": 3 } });
    let begun = post(&app, "/conversations/c/turns", &body).await;
    assert_eq!(begun.status, 202);
    assert_eq!(
        begun.json(),
        json!({ "conversationId": "c", "turnId": "t", "firstSeq": 1 })
    );
    assert_eq!(begun.header("location"), Some("/conversations/c/events?after=0"));
    let frames = reader(&app, "c").await.until("done").await;
    assert_eq!(
        (kinds(&frames), text(&frames)),
        ("user started token done".to_owned(), "echo: hi".to_owned())
    );
    // The same request again joins the turn; another body under its name doesn't.
    assert_eq!(post(&app, "/conversations/c/turns", &body).await.json(), begun.json());
    let other = json!({ "message": "ho", "agentId": "planner", "turnId": "t" });
    assert_eq!(post(&app, "/conversations/c/turns", &other).await.status, 409);
    let edit = json!({ "message": "ho", "agent_id": "planner", "editTurnId": "t", "turnId": "u" });
    let edited = post(&app, "/conversations/c/turns", &edit).await;
    assert_eq!(edited.status, 202);
    let tree = app.get("/conversations/c").await.json();
    assert_eq!(tree["turns"][1]["parentTurnId"], json!(null));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_is_made_again() {
    let app = TestApp::start(ScriptedEngine::default()).await;
    let body = json!({ "message": "hi", "agentId": "planner", "turnId": "t" });
    assert_eq!(post(&app, "/conversations/c/turns", &body).await.status, 202);
    let mut reader = reader(&app, "c").await;
    reader.until("done").await;
    let path = "/conversations/c/turns/t/regenerate";
    let body = json!({ "new_turn_id": "u", "options": { "seed": 5 } });
    let begun = post(&app, path, &body).await;
    assert_eq!((begun.status, &begun.json()["turnId"]), (202, &json!("u")));
    let frames = reader.until("done").await;
    assert_eq!((text(&frames), &frames[0]["seed"]), ("echo: hi".to_owned(), &json!(5)));
    let before = frames[0]["seq"].as_u64().map(|seq| seq - 1);
    assert_eq!(
        begun.header("location").map(str::to_owned),
        before.map(|before| format!("/conversations/c/events?after={before}"))
    );
    // The same request again joins the turn, and the body may be left out.
    assert_eq!(post(&app, path, &body).await.json(), begun.json());
    let bare = HttpRequest {
        method: "POST",
        path,
        ..HttpRequest::default()
    };
    assert_eq!(app.http(bare).await.status, 202);
    let again = reader.until("done").await;
    assert_eq!(again[0]["parentTurnId"], json!(null));
    for (path, body, status) in [
        ("/conversations/c/turns/nobody/regenerate", json!({}), 404),
        ("/conversations/d/turns/t/regenerate", json!({}), 404),
        ("/conversations/c/turns/a..b/regenerate", json!({}), 400),
        (path, json!({ "turnId": "u" }), 400),
        (path, json!({ "conversationId": "d" }), 400),
        (path, json!({ "newTurnId": 7 }), 400),
        (path, json!({ "newTurnId": "t" }), 409),
    ] {
        assert_eq!(post(&app, path, &body).await.status, status, "{path} {body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_is_stopped() {
    let app = TestApp::start(ScriptedEngine::default().held()).await;
    let body = json!({ "message": "hi", "agentId": "planner", "turnId": "t" });
    assert_eq!(post(&app, "/conversations/c/turns", &body).await.status, 202);
    let mut reader = reader(&app, "c").await;
    reader.until("started").await;
    let cancelled = post(&app, "/conversations/c/turns/t/cancel", &json!(null)).await;
    assert_eq!((cancelled.status, cancelled.body.as_str()), (202, ""));
    let frames = reader.until("done").await;
    assert_eq!(
        frames.last().map(|frame| &frame["finishReason"]),
        Some(&json!("cancelled"))
    );
    // A turn that has ended stays as it is.
    assert_eq!(
        post(&app, "/conversations/c/turns/t/cancel", &json!(null)).await.status,
        202
    );
    assert_eq!(
        post(&app, "/conversations/c/turns/u/cancel", &json!(null)).await.status,
        404
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_is_answered() {
    let call = ToolCall {
        id: "x".to_owned(),
        name: "now".to_owned(),
        arguments: "{}".to_owned(),
    };
    let scripts = [
        Script::Calls(vec!["A".to_owned()], vec![call]),
        Script::Tokens(vec!["B".to_owned()]),
    ];
    let app = TestApp::start(ScriptedEngine::new(scripts)).await;
    let body = json!({ "message": "hi", "agentId": "planner", "turnId": "t", "tools": [{ "name": "now" }] });
    assert_eq!(post(&app, "/conversations/c/turns", &body).await.status, 202);
    let mut reader = reader(&app, "c").await;
    let asked = reader.until("tool").await;
    let call_id = &asked.last().expect("until gives its last frame")["callId"];
    let path = "/conversations/c/turns/t/tool-output";
    assert_eq!(post(&app, path, &json!({ "callId": call_id })).await.status, 400);
    assert_eq!(
        post(&app, path, &json!({ "callId": "no", "output": 1 })).await.status,
        409
    );
    let no_turn = "/conversations/c/turns/u/tool-output";
    assert_eq!(
        post(&app, no_turn, &json!({ "callId": "no", "output": 1 }))
            .await
            .status,
        404
    );
    assert_eq!(
        post(&app, path, &json!({ "callId": call_id, "output": null }))
            .await
            .status,
        202
    );
    let frames = reader.until("done").await;
    assert_eq!(text(&frames), "B");
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_turns_are_refused_with_a_reason() {
    let app = TestApp::start(ScriptedEngine::default()).await;
    for (path, body, status, expected) in [
        ("/conversations/c/turns", json!({ "message": "hi" }), 400, "agentId"),
        (
            "/conversations/c/turns",
            json!({ "agentId": "planner" }),
            400,
            "message",
        ),
        (
            "/conversations/c/turns",
            json!({ "agentId": "planner", "message": "hi", "conversationId": "d" }),
            400,
            "\\\"d\\\"",
        ),
        (
            "/conversations/a..b/turns",
            json!({ "agentId": "planner", "message": "hi" }),
            400,
            "conversationId",
        ),
        (
            "/conversations/c/turns",
            json!({ "agentId": "nobody", "message": "hi" }),
            404,
            "nobody",
        ),
        ("/conversations/c/turns", json!([]), 400, "object"),
    ] {
        let refused = post(&app, path, &body).await;
        assert_eq!(refused.status, status, "{body}: {}", refused.body);
        assert!(
            refused.body.contains(expected),
            "{} doesn't say {expected}",
            refused.body
        );
    }
    assert_eq!(app.get("/conversations/c/turns").await.header("allow"), Some("POST"));
}
