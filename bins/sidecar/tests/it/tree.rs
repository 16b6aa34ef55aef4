//! Sibling turns over the wire, and the path that the next message follows.

use engine::ScriptedEngine;
use serde_json::json;

use crate::client::{HttpRequest, HttpResponse, TestApp, kinds, no_gap, text};

async fn put_head(app: &TestApp, conversation: &str, body: &str) -> HttpResponse {
    app.http(HttpRequest {
        method: "PUT",
        path: &format!("/conversations/{conversation}/head"),
        body,
        ..HttpRequest::default()
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_is_made_again_and_edited_on_one_socket() {
    let app = TestApp::start(ScriptedEngine::default()).await;
    let mut socket = app.socket().await;
    socket.ask("c", "t1", "one").await;
    let first = socket.until("done").await;
    let last = no_gap(0, &first);
    socket
        .send(json!({ "type": "regenerate", "turnId": "t1", "newTurnId": "t2", "options": { "seed": 5 } }))
        .await;
    let again = socket.until("done").await;
    let last = no_gap(last, &again);
    assert_eq!(kinds(&again), "user started token done");
    assert_eq!(text(&again), "echo: one");
    assert_eq!(
        (&again[0]["turnId"], &again[0]["parentTurnId"], &again[0]["seed"]),
        (&json!("t2"), &json!(null), &json!(5))
    );
    socket
        .send(json!({ "message": "uno", "edit_turn_id": "t1", "turnId": "t3" }))
        .await;
    let edited = socket.until("done").await;
    no_gap(last, &edited);
    assert_eq!(
        (&edited[0]["parentTurnId"], text(&edited)),
        (&json!(null), "echo: uno".to_owned())
    );
    // The same request again joins and replays; an unknown turn is refused, and the socket stays.
    socket
        .send(json!({ "type": "regenerate", "turnId": "t1", "newTurnId": "t2", "options": { "seed": 5 } }))
        .await;
    assert_eq!(text(&socket.until("done").await), "echo: one");
    socket.send(json!({ "type": "regenerate", "turnId": "nobody" })).await;
    let refused = socket.until("error").await;
    assert_eq!(
        refused.last().map(|frame| &frame["code"]),
        Some(&json!("conversation_not_found"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_regenerated_turn_is_owned_and_read_also_by_a_new_socket() {
    let app = TestApp::start(ScriptedEngine::default().held()).await;
    let mut socket = app.socket().await;
    socket.ask("c", "t1", "one").await;
    socket.until("started").await;
    socket.close(Some(1000)).await;
    let mut socket = app.socket().await;
    socket
        .send(json!({ "type": "regenerate", "conversationId": "c", "turnId": "t1", "newTurnId": "t2" }))
        .await;
    let frames = socket.until("started").await;
    assert!(frames.iter().any(|frame| frame["turnId"] == "t2"), "{frames:?}");
    socket.close(Some(1000)).await;
    let mut reader = app.socket().await;
    reader
        .send(json!({ "type": "resume", "conversationId": "c", "after": 0 }))
        .await;
    for turn in ["t1", "t2"] {
        let frames = reader.until("done").await;
        let end = frames.last().expect("until gives its last frame");
        assert_eq!(
            (&end["turnId"], &end["finishReason"]),
            (&json!(turn), &json!("cancelled"))
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_head_switches_the_path() {
    let app = TestApp::start(ScriptedEngine::default()).await;
    let mut socket = app.socket().await;
    for (turn, message) in [("t1", "one"), ("t2", "two"), ("t3", "three")] {
        socket.ask("c", turn, message).await;
        socket.until("done").await;
    }
    let switched = put_head(&app, "c", r#"{"turnId":"t1"}"#).await;
    assert_eq!((switched.status, switched.body.as_str()), (204, ""));
    assert_eq!(app.get("/conversations/c").await.json()["headTurnId"], "t1");
    socket.ask("c", "t4", "four").await;
    let frames = socket.until("done").await;
    assert_eq!(frames[0]["parentTurnId"], "t1");
    let asked = app.engine.requests().pop().expect("the engine was asked");
    let texts: Vec<_> = asked.messages.iter().map(|message| message.text.as_str()).collect();
    // The cache ended in a turn that is no longer on the path.
    assert_eq!((asked.continues_from, texts), (None, vec!["one", "echo: one", "four"]));
    for (conversation, body, status, code) in [
        ("c", r#"{"turnId":"nobody"}"#, 404, "conversation_not_found"),
        ("nowhere", r#"{"turnId":"t1"}"#, 404, "conversation_not_found"),
        ("c", r#"{"turnId":"a b"}"#, 400, "invalid_request"),
        ("c", "{}", 400, "invalid_request"),
    ] {
        let refused = put_head(&app, conversation, body).await;
        assert_eq!(
            (refused.status, &refused.json()["code"]),
            (status, &json!(code)),
            "{body}"
        );
    }
}
