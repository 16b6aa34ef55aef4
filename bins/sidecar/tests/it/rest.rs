//! The REST routes: status, headers and body of each response.

use engine::ScriptedEngine;
use expect_test::{Expect, expect};
use serde_json::json;

use crate::client::{HttpRequest, TestApp};

/// Sends a request, and compares the response as `STATUS[ allow: …][ location: …] BODY`.
async fn check(app: &TestApp, method: &str, path: &str, body: &str, expected: Expect) {
    let answer = app
        .http(HttpRequest {
            method,
            path,
            body,
            ..HttpRequest::default()
        })
        .await;
    let headers = ["allow", "location"].map(|name| {
        answer
            .header(name)
            .map(|value| format!(" {name}: {value}"))
            .unwrap_or_default()
    });
    expected.assert_eq(&format!("{}{} {}", answer.status, headers.concat(), answer.body));
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_are_listed_written_and_deleted() {
    let app = TestApp::start(ScriptedEngine::default()).await;
    let ids = app.get("/agents").await.json();
    let ids: Vec<_> = ids["agents"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|agent| agent["id"].clone())
        .collect();
    assert_eq!(ids, ["controller", "planner", "researcher"]);
    let body = r#"{"id":"reviewer","name":"Reviewer","system_prompt":"You review.","markdown_context":"- Be kind.\n"}"#;
    check(&app, "PUT", "/agents/reviewer", body, expect![[r#"201 location: /agents/reviewer {"id":"reviewer","name":"Reviewer","system_prompt":"You review.","markdown_context":"- Be kind.\n"}"#]]).await;
    check(
        &app,
        "PUT",
        "/agents/reviewer",
        body,
        expect![[
            r#"200 {"id":"reviewer","name":"Reviewer","system_prompt":"You review.","markdown_context":"- Be kind.\n"}"#
        ]],
    )
    .await;
    check(
        &app,
        "GET",
        "/agents/reviewer",
        "",
        expect![[
            r#"200 {"id":"reviewer","name":"Reviewer","system_prompt":"You review.","markdown_context":"- Be kind.\n"}"#
        ]],
    )
    .await;
    check(&app, "DELETE", "/agents/reviewer", "", expect!["204 "]).await;
    check(
        &app,
        "DELETE",
        "/agents/reviewer",
        "",
        expect![[r#"404 {"detail":"Agent not found","code":"agent_not_found"}"#]],
    )
    .await;
    check(
        &app,
        "GET",
        "/agents/reviewer",
        "",
        expect![[r#"404 {"detail":"Agent not found","code":"agent_not_found"}"#]],
    )
    .await;
    check(
        &app,
        "GET",
        "/agents/..%2f..%2fetc",
        "",
        expect![[r#"404 {"detail":"Agent not found","code":"agent_not_found"}"#]],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_agent_file_is_named_and_harms_no_other() {
    let app = TestApp::start_with(ScriptedEngine::default(), |settings| {
        let folder = &settings.agents_dir;
        std::fs::create_dir_all(folder).expect("a folder can be made");
        std::fs::write(folder.join("broken.md"), "no front matter").expect("a file can be written");
        let good = "---\nid: good\nname: Good\nsystem_prompt: Be good.\n---\n";
        std::fs::write(folder.join("good.md"), good).expect("a file can be written");
    })
    .await;
    check(
        &app,
        "GET",
        "/agents/broken",
        "",
        expect![[
            r#"500 {"detail":"agent file \"broken.md\" is broken: its first line is not ---","code":"internal"}"#
        ]],
    )
    .await;
    let body = r#"{"name":"B","system_prompt":"","markdown_context":""}"#;
    check(
        &app,
        "PUT",
        "/agents/broken",
        body,
        expect![[
            r#"500 {"detail":"agent file \"broken.md\" is broken: its first line is not ---","code":"internal"}"#
        ]],
    )
    .await;
    check(
        &app,
        "GET",
        "/agents",
        "",
        expect![[r#"200 {"agents":[{"id":"good","name":"Good","system_prompt":"Be good.","markdown_context":""}]}"#]],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_that_is_not_utf_8_is_answered_in_json() {
    let app = TestApp::start(ScriptedEngine::default()).await;
    for path in ["/agents/%ff", "/conversations/%ff"] {
        let answer = app.get(path).await;
        let code = answer.json()["code"].clone();
        assert!(
            matches!(answer.status, 400 | 404) && code.is_string(),
            "{} {}",
            answer.status,
            answer.body
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_agents_are_refused_with_a_reason() {
    let app = TestApp::start(ScriptedEngine::default()).await;
    check(
        &app,
        "PUT",
        "/agents/x",
        r#"{"name":"X","system_prompt":"x"}"#,
        expect![[r#"422 {"detail":"not a valid JSON object: missing field `markdown_context` at line 1 column 32","code":"invalid_request"}"#]],
    )
    .await;
    check(
        &app,
        "PUT",
        "/agents/x",
        r#"{"name":7,"system_prompt":"x","markdown_context":""}"#,
        expect![[r#"422 {"detail":"not a valid JSON object: invalid type: integer `7`, expected a string at line 1 column 9","code":"invalid_request"}"#]],
    )
    .await;
    check(
        &app,
        "PUT",
        "/agents/x",
        r#"{"id":"y","name":"X","system_prompt":"x","markdown_context":""}"#,
        expect![[r#"422 {"detail":"the body's id \"y\" is not the path's \"x\"","code":"invalid_request"}"#]],
    )
    .await;
    check(
        &app,
        "PUT",
        "/agents/x",
        r#"{"name":" ","system_prompt":"x","markdown_context":""}"#,
        expect![[r#"422 {"detail":"agent \"x\" needs a name that is not blank","code":"invalid_request"}"#]],
    )
    .await;
    check(
        &app,
        "PUT",
        "/agents/X",
        r#"{"name":"X","system_prompt":"x","markdown_context":""}"#,
        expect![[r#"422 {"detail":"agent id \"X\" has a character other than a-z, 0-9, '.', '_' and '-'","code":"invalid_request"}"#]],
    )
    .await;
    check(&app, "PUT", "/agents/x", "{", expect![[r#"422 {"detail":"not a valid JSON object: EOF while parsing an object at line 1 column 1","code":"invalid_request"}"#]]).await;
    let long = "x".repeat((1 << 20) + 1);
    check(
        &app,
        "PUT",
        "/agents/x",
        &long,
        expect![[r#"413 {"detail":"the body is larger than 1048576 bytes","code":"too_large"}"#]],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_is_overwritten_only_as_it_was_read() {
    let app = TestApp::start(ScriptedEngine::default()).await;
    let etag = app
        .get("/agents/planner")
        .await
        .header("etag")
        .expect("an agent has an ETag")
        .to_owned();
    let body = r#"{"name":"P","system_prompt":"p","markdown_context":""}"#;
    let put = async |condition: &str| {
        let headers = [("if-match", condition)];
        app.http(HttpRequest {
            method: "PUT",
            path: "/agents/planner",
            headers: &headers,
            body,
        })
        .await
    };
    let first = put(&etag).await;
    assert_eq!(first.status, 200);
    let second = put(&etag).await;
    assert_eq!((second.status, second.json()["code"].clone()), (412, json!("conflict")));
    assert_eq!(put(first.header("etag").expect("the new ETag")).await.status, 200);
    assert_eq!(put("planner").await.status, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_routes_and_methods_are_json() {
    let app = TestApp::start(ScriptedEngine::default()).await;
    check(
        &app,
        "GET",
        "/nowhere",
        "",
        expect![[r#"404 {"detail":"there is nothing at /nowhere","code":"invalid_request"}"#]],
    )
    .await;
    check(
        &app,
        "POST",
        "/agents",
        "",
        expect![[r#"405 allow: GET {"detail":"POST is not allowed on /agents, only GET","code":"invalid_request"}"#]],
    )
    .await;
    check(&app, "PATCH", "/agents/x", "", expect![[r#"405 allow: GET, PUT, DELETE {"detail":"PATCH is not allowed on /agents/x, only GET, PUT, DELETE","code":"invalid_request"}"#]]).await;
    check(&app, "POST", "/conversations/c/events", "", expect![[r#"405 allow: GET {"detail":"POST is not allowed on /conversations/c/events, only GET","code":"invalid_request"}"#]]).await;
    check(
        &app,
        "GET",
        "/ws/chat",
        "",
        expect![[
            r#"400 {"detail":"not a WebSocket handshake: WebSocket upgrade is expected","code":"invalid_request"}"#
        ]],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn health_and_readiness_are_answered() {
    let app = TestApp::start(ScriptedEngine::default()).await;
    for path in ["/healthz", "/health"] {
        let answer = app.get(path).await;
        assert_eq!((answer.status, answer.json()["status"].clone()), (200, json!("ok")));
    }
    check(
        &app,
        "GET",
        "/readyz",
        "",
        expect![[r#"200 {"status":"ready","model":"scripted"}"#]],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn conversations_are_paged_read_and_deleted() {
    let app = TestApp::start(ScriptedEngine::default()).await;
    let mut socket = app.socket().await;
    for id in ["a", "b", "c"] {
        socket.ask(id, "t1", "one two").await;
        socket.until("done").await;
    }
    let page = app.get("/conversations?limit=2").await.json();
    assert_eq!(page["conversations"][0]["conversationId"], "c");
    let cursor = page["nextCursor"].as_str().expect("a second page").to_owned();
    let page = app.get(&format!("/conversations?limit=2&cursor={cursor}")).await.json();
    assert_eq!(
        (
            page["conversations"][0]["conversationId"].clone(),
            page["nextCursor"].clone()
        ),
        (json!("a"), json!(null))
    );

    let conversation = app.get("/conversations/a").await.json();
    let turn = &conversation["turns"][0];
    assert_eq!(
        (turn["state"].clone(), turn["answerText"].clone()),
        (json!("done"), json!("echo: one two"))
    );
    assert_eq!(conversation["nextCursor"], json!(null));

    let page = app.get("/conversations/a/events?after=2&limit=1").await.json();
    assert_eq!(
        (page["events"][0]["seq"].clone(), page["lastSeq"].clone()),
        (json!(3), conversation["lastSeq"].clone())
    );

    let prompt = app.get("/conversations/a/prompt?turn=t1").await;
    assert_eq!(
        (prompt.status, prompt.json()["agent"]["id"].clone()),
        (200, json!("planner"))
    );

    assert_eq!(
        app.http(HttpRequest {
            method: "DELETE",
            path: "/conversations/a",
            ..HttpRequest::default()
        })
        .await
        .status,
        204
    );
    check(
        &app,
        "GET",
        "/conversations/a",
        "",
        expect![[r#"410 {"detail":"conversation \"a\" was deleted","code":"gone"}"#]],
    )
    .await;
    check(
        &app,
        "DELETE",
        "/conversations/z",
        "",
        expect![[r#"404 {"detail":"conversation \"z\" not found","code":"conversation_not_found"}"#]],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_queries_are_refused_with_a_reason() {
    let app = TestApp::start(ScriptedEngine::default()).await;
    let mut socket = app.socket().await;
    socket.ask("b", "t1", "one two").await;
    socket.until("done").await;
    check(
        &app,
        "GET",
        "/conversations/b/prompt",
        "",
        expect![[r#"400 {"detail":"key \"turn\" is missing in the query","code":"invalid_request"}"#]],
    )
    .await;
    check(
        &app,
        "GET",
        "/conversations?limit=0",
        "",
        expect![[r#"400 {"detail":"limit=0 must be 1 to 200","code":"invalid_request"}"#]],
    )
    .await;
    check(
        &app,
        "GET",
        "/conversations?cursor=x",
        "",
        expect![[r#"400 {"detail":"cursor \"x\" is not one that a page gave","code":"invalid_request"}"#]],
    )
    .await;
    check(
        &app,
        "GET",
        "/conversations/b/events?after=-1",
        "",
        expect![[r#"400 {"detail":"after=-1 must be a whole number, 0 or more","code":"invalid_request"}"#]],
    )
    .await;
}
