//! The narrator from outside: messages to it, what every reader of the conversation receives, and what its feed shows.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use engine::{EngineError, Script, ScriptedEngine};
use expect_test::{Expect, expect};
use relay::Clock;
use serde_json::{Value, json};
use streaming_llm_sidecar::settings::{RelayChoice, Settings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::client::{HttpRequest, HttpResponse, TestApp, http, kinds, no_gap, text};
use crate::wait::wait_until;

/// Posts a body to an app.
pub async fn post(app: &TestApp, path: &str, headers: &[(&str, &str)], body: &str) -> HttpResponse {
    let method = "POST";
    app.http(HttpRequest {
        method,
        path,
        headers,
        body,
    })
    .await
}

/// Sends a message to the narrator of workspace `w`, in conversation `c`.
async fn send_message(app: &TestApp, message: &str) -> HttpResponse {
    let body = json!({ "workspaceId": "w", "conversationId": "c", "message": message });
    post(app, "/narrator/messages", &[], &body.to_string()).await
}

/// Registers a controller for 60 s; returns its registration id and its token.
pub async fn register(app: &TestApp, body: &str) -> (String, String) {
    let answer = post(app, "/controllers", &[], body).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    let lease = answer.json();
    let field = |key: &str| lease[key].as_str().expect("a lease has it").to_owned();
    (field("registrationId"), field("token"))
}

/// Returns the feed of workspace `w`, the oldest first, each entry as `type source headline`.
async fn feed(app: &TestApp) -> Vec<String> {
    let feed = app.get("/narrator/feed?workspaceId=w").await.json();
    let events = feed["events"].as_array().expect("a feed has events").iter().rev();
    let words = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    events
        .map(|event| ["type", "source", "headline"].map(|key| words(&event[key])).join(" "))
        .collect()
}

/// Starts an app whose relay answers from a script.
async fn app_with_script(script: &str, change: impl FnOnce(&mut Settings)) -> TestApp {
    TestApp::start_with(ScriptedEngine::default(), |settings| {
        std::fs::create_dir_all(&settings.data_dir).expect("a folder can be made");
        let file = settings.data_dir.join("relay.json");
        std::fs::write(&file, script).expect("a file can be written");
        settings.relay = RelayChoice::Fake(file);
        change(settings);
    })
    .await
}

/// Starts an app that asks a relay on a port of its own.
async fn app_with_relay(change: impl FnOnce(&mut Settings)) -> (TestApp, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    let app = TestApp::start_with(ScriptedEngine::default(), |settings| {
        settings.relay = RelayChoice::Http(format!("http://{address}/"));
        change(settings);
    })
    .await;
    (app, listener)
}

/// Accepts one request of the sidecar; returns its body.
async fn accept_request(listener: &TcpListener) -> (TcpStream, Value) {
    let (mut stream, _) = listener.accept().await.expect("the sidecar asks");
    let mut text = Vec::new();
    loop {
        let mut piece = [0; 4_096];
        let length = stream.read(&mut piece).await.expect("the sidecar asks");
        text.extend_from_slice(&piece[..length]);
        let shown = String::from_utf8_lossy(&text);
        // The body is one JSON object, and ends with it.
        if let Some((_, body)) = shown.split_once("\r\n\r\n")
            && let Ok(body) = serde_json::from_str(body)
        {
            return (stream, body);
        }
    }
}

async fn reply(mut stream: TcpStream, status: &str, body: &str) {
    let answer = format!(
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    stream
        .write_all(answer.as_bytes())
        .await
        .expect("the sidecar reads the answer");
}

#[tokio::test(flavor = "multi_thread")]
async fn narration_works_on_a_fresh_install() {
    let tokens = ["All ", "is ", "well."].map(str::to_owned).to_vec();
    let app = TestApp::start(ScriptedEngine::new([Script::Tokens(tokens)])).await;
    let body = r#"{"workspaceId": "Team A", "message": "How is it going?"}"#;
    let answer = post(&app, "/narrator/messages", &[], body).await;
    assert_eq!(answer.status, 202, "{}", answer.body);
    let accepted = answer.json();
    assert_eq!(accepted["workspaceId"], "Team A");
    let conversation = accepted["conversationId"].as_str().expect("an id");
    assert!(conversation.starts_with("narrator-team-a-"), "{conversation}");

    let mut reader = app.socket().await;
    reader
        .send(json!({ "type": "resume", "conversationId": conversation, "after": 0 }))
        .await;
    let frames = reader.until("narration").await;
    no_gap(0, &frames);
    assert_eq!(kinds(&frames), "user started token done narration");
    assert_eq!(text(&frames), "All is well.");
    let (user, narration) = (&frames[0], &frames[frames.len() - 1]);
    assert_eq!(
        (
            &user["agentId"],
            &user["turnId"],
            &narration["text"],
            &narration["source"],
            &narration["turnId"]
        ),
        (
            &json!("controller"),
            &accepted["taskId"],
            &json!("All is well."),
            &json!("narrator"),
            &Value::Null
        )
    );

    let feed = app.get("/narrator/feed?workspaceId=Team%20A").await.json();
    assert_eq!(
        (&feed["workspaceId"], &feed["conversationId"]),
        (&json!("Team A"), &json!(conversation))
    );
    let details: Vec<_> = feed["events"]
        .as_array()
        .expect("events")
        .iter()
        .map(|event| &event["detail"])
        .collect();
    assert_eq!(details, ["All is well.", "How is it going?"]);
    assert_eq!(feed["events"][1]["id"], accepted["eventId"]);
    let raw = app.get("/api/workspaces/Team%20A/narrator/raw?limit=2").await;
    assert_eq!(raw.header("content-type"), Some("application/jsonl; charset=utf-8"));
    let types: Vec<Value> = raw
        .body
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("a line is JSON")["type"].clone())
        .collect();
    assert_eq!(types, ["WORKSPACE_NARRATOR_COMPLETED", "NARRATION"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fake_relay_needs_a_controller() {
    let app = app_with_script(r#"[{"answer": "Fine.", "headline": "F"}]"#, |_| {}).await;
    let refused = send_message(&app, "Hello?").await;
    expect![[r#"{"detail":"no controller is registered for agent \"controller\" in workspace \"w\": there has been none. Register one with POST /controllers {\"agentId\": \"controller\", \"workspaceId\": \"w\", \"ttlSeconds\": 60}, and keep it alive with PUT /controllers/{registrationId}/keepalive","code":"controller_not_registered"}"#]]
        .assert_eq(&refused.body);
    assert_eq!(refused.status, 409);
    // As the refusal says.
    register(
        &app,
        r#"{"agentId": "controller", "workspaceId": "w", "ttlSeconds": 60}"#,
    )
    .await;
    let answer = send_message(&app, "Hello?").await;
    assert_eq!(
        (answer.status, answer.json()["conversationId"].clone()),
        (202, json!("c"))
    );
    assert_eq!(feed(&app).await, ["narration user Hello?", "narration narrator F"]);
    let page = app.get("/conversations/c/events").await.json();
    assert_eq!(
        (page["lastSeq"].clone(), page["events"][0]["text"].clone()),
        (json!(1), json!("Fine."))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_of_the_relay_is_reported() {
    let (app, relay) = app_with_relay(|_| {}).await;
    register(&app, r#"{"agentId": "controller"}"#).await;
    let served = tokio::spawn(async move {
        let (stream, asked) = accept_request(&relay).await;
        reply(stream, "500 Internal Server Error", "no luck").await;
        asked
    });
    let failed = send_message(&app, "Hello?").await;
    assert_eq!(failed.status, 502);
    expect![[r#"{"error":"relay_failed","detail":"the relay answered 500 Internal Server Error: no luck","code":"relay_failed"}"#]]
        .assert_eq(&failed.body);
    let asked = served.await.expect("the relay was asked");
    assert_eq!(
        (&asked["message"], &asked["agentId"]),
        (&json!("Hello?"), &json!("controller"))
    );
    // The relay's port is closed by now.
    assert_eq!(send_message(&app, "Hello?").await.status, 502);
    let shown = ["narration user Hello?", "error system relay_failed"];
    assert_eq!(feed(&app).await, [shown, shown].concat());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_hangs_times_out() {
    let (app, _relay) = app_with_relay(|settings| settings.narrator.relay_limit = Duration::from_millis(50)).await;
    register(&app, r#"{"agentId": "controller"}"#).await;
    let given_up = send_message(&app, "Hello?").await;
    assert_eq!(given_up.status, 504);
    expect![[r#"{"error":"relay_timeout","detail":"the relay didn't answer within 0.05 s","code":"relay_timeout"}"#]]
        .assert_eq(&given_up.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_ends_meanwhile_silences_the_answer() {
    let seconds = Arc::new(AtomicU64::new(0));
    let clock_seconds = Arc::clone(&seconds);
    let forward = move || Duration::from_secs(clock_seconds.load(Ordering::SeqCst));
    let (app, relay) = app_with_relay(|settings| settings.narrator.clock = Clock::new(forward, || 0)).await;
    register(&app, r#"{"agentId": "controller", "ttlSeconds": 5}"#).await;
    let served = tokio::spawn(async move {
        let (stream, _) = accept_request(&relay).await;
        seconds.store(5, Ordering::SeqCst);
        reply(stream, "200 OK", r#"{"text": "Too late."}"#).await;
    });
    let refused = send_message(&app, "Hello?").await;
    served.await.expect("the relay was asked");
    assert_eq!(
        (refused.status, refused.json()["code"].clone()),
        (409, json!("controller_not_registered"))
    );
    assert!(
        refused.body.contains("its lease ended at 1970-01-01T00:00:05.000Z"),
        "{}",
        refused.body
    );
    let shown = [
        "narration user Hello?",
        "suppressed narrator Too late.",
        "error system controller_not_registered",
    ];
    assert_eq!(feed(&app).await, shown);
    assert_eq!(app.get("/conversations/c").await.status, 404, "no reader receives it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_prefers_async_is_answered_at_once() {
    let (app, relay) = app_with_relay(|_| {}).await;
    register(&app, r#"{"agentId": "controller"}"#).await;
    let body = r#"{"workspaceId": "w", "conversationId": "c", "message": "Hello?"}"#;
    let headers = [("prefer", "wait=10, Respond-Async")];
    // The relay hasn't even accepted the connection.
    let answer = post(&app, "/narrator/messages", &headers, body).await;
    assert_eq!(
        (answer.status, answer.header("preference-applied")),
        (202, Some("respond-async"))
    );
    let (stream, asked) = accept_request(&relay).await;
    assert_eq!(
        (&asked["taskId"], &asked["eventId"]),
        (&answer.json()["taskId"], &answer.json()["eventId"])
    );
    let mut reader = app.socket().await;
    reader
        .send(json!({ "conversationId": "c", "agentId": "planner", "message": "one two" }))
        .await;
    reader.until("done").await;
    reply(stream, "200 OK", r#"{"narration": "Later."}"#).await;
    assert_eq!(reader.until("narration").await[0]["text"], "Later.");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_does_not_wait_for_a_relay() {
    let (app, relay) = app_with_relay(|_| {}).await;
    register(&app, r#"{"agentId": "controller"}"#).await;
    let authority = app.authority();
    let pending = tokio::spawn(async move {
        let request = HttpRequest {
            method: "POST",
            path: "/narrator/messages",
            body: r#"{"workspaceId": "w", "message": "Hello?"}"#,
            ..HttpRequest::default()
        };
        http(&authority, request).await
    });
    let _unanswered = accept_request(&relay).await;
    app.stop().await;
    let refused = pending.await.expect("the request is answered");
    assert_eq!(
        (refused.status, refused.json()["code"].clone()),
        (503, json!("draining"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_reader_of_the_conversation_receives_the_summary() {
    let app = app_with_script("[]", |settings| settings.narrator.summary_refresh = 2).await;
    register(&app, r#"{"agentId": "controller"}"#).await;
    assert_eq!(send_message(&app, "one").await.status, 202);
    let mut readers = [app.socket().await, app.socket().await];
    for reader in &mut readers {
        reader
            .send(json!({ "type": "resume", "conversationId": "c", "after": 0 }))
            .await;
        assert_eq!(reader.recv().await["text"], "echo: one");
    }
    assert_eq!(send_message(&app, "two").await.status, 202);
    let reference = app.get("/narrator/feed?workspaceId=w").await.json()["summaryRef"].clone();
    assert!(
        reference
            .as_str()
            .is_some_and(|name| name.starts_with("w-") && name.ends_with(".md")),
        "{reference}"
    );
    for reader in &mut readers {
        let frames = reader.until("summary").await;
        assert_eq!(no_gap(1, &frames), 3);
        let summary = &frames[frames.len() - 1];
        assert_eq!(summary["ref"], reference);
        let text = summary["text"].as_str().expect("a summary has a text");
        assert!(
            text.contains("**narrator** echo: two") && text.contains("**user** one"),
            "{text}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_of_the_agent_is_reported_as_one_of_the_relay() {
    let reason = "out of memory".to_owned();
    let app = TestApp::start(ScriptedEngine::new([Script::Refuses(EngineError::Internal { reason })])).await;
    let failed = send_message(&app, "Hello?").await;
    assert_eq!(
        (failed.status, failed.json()["error"].clone()),
        (502, json!("relay_failed"))
    );
    let detail = failed.json()["detail"].to_string();
    assert!(detail.contains("the agent's turn failed"), "{detail}");
    register(&app, r#"{"agentId": "nobody"}"#).await;
    let body = r#"{"workspaceId": "w", "agentId": "nobody", "message": "Hello?"}"#;
    let missing = post(&app, "/narrator/messages", &[], body).await;
    expect![[r#"{"error":"relay_failed","detail":"the agent can't be asked: agent \"nobody\" not found","code":"relay_failed"}"#]]
        .assert_eq(&missing.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_times_out_is_cancelled() {
    let app = TestApp::start_with(ScriptedEngine::default().held(), |settings| {
        settings.narrator.relay_limit = Duration::from_millis(50);
    })
    .await;
    let given_up = send_message(&app, "Hello?").await;
    assert_eq!(
        (given_up.status, given_up.json()["error"].clone()),
        (504, json!("relay_timeout"))
    );
    // On a slow machine the relay may time out before its turn was stored; the turn starts all the same, and is
    // cancelled then.
    wait_until("the turn is stored", async || {
        app.get("/conversations/c").await.status == 200
    })
    .await;
    let mut reader = app.socket().await;
    reader
        .send(json!({ "type": "resume", "conversationId": "c", "after": 0 }))
        .await;
    let frames = reader.until("done").await;
    assert_eq!(frames[frames.len() - 1]["finishReason"], "cancelled");
}

/// Posts an invalid body, and compares the response as `STATUS BODY`.
async fn check_refused(app: &TestApp, path: &str, body: &str, expected: Expect) {
    let answer = post(app, path, &[], body).await;
    expected.assert_eq(&format!("{} {}", answer.status, answer.body));
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_messages_are_refused_with_a_reason() {
    let app = app_with_script("[]", |_| {}).await;
    register(&app, r#"{"agentId": "controller"}"#).await;
    let path = "/narrator/messages";
    let required = || expect![[r#"400 {"detail":"message is required","code":"invalid_request"}"#]];
    check_refused(&app, path, r#"{"workspaceId": "w"}"#, required()).await;
    check_refused(&app, path, r#"{"workspaceId": "w", "message": null}"#, required()).await;
    check_refused(&app, path, r#"{"workspaceId": "w", "message": " \n "}"#, required()).await;
    check_refused(&app, "/api/workspaces/w/narrator/messages", "{}", required()).await;
    check_refused(&app, path, r#"{"message": "a"}"#, expect![[r#"400 {"detail":"key \"workspaceId\" must have 1 to 1024 bytes and a visible character","code":"invalid_request"}"#]]).await;
    check_refused(&app, path, "[1", expect![[r#"400 {"detail":"not a valid JSON object: invalid type: sequence, expected an object at line 1 column 0","code":"invalid_request"}"#]]).await;
    check_refused(&app, path, r#"{"workspaceId": "w", "message": "a", "conversationId": "../c"}"#, expect![[r#"400 {"detail":"key \"conversationId\" must be 1 to 128 letters, digits, '.', '_' or '-', beginning with a letter or digit, without '..', not \"../c\"","code":"invalid_request"}"#]]).await;
    check_refused(
        &app,
        "/api/workspaces/w/narrator/messages",
        r#"{"workspaceId": "v", "message": "a"}"#,
        expect![[r#"400 {"detail":"the body's workspaceId \"v\" is not the path's \"w\"","code":"invalid_request"}"#]],
    )
    .await;
    let large = json!({ "workspaceId": "w", "message": "x".repeat((256 << 10) + 1) }).to_string();
    check_refused(
        &app,
        path,
        &large,
        expect![[r#"413 {"detail":"the message has 262145 bytes, and 262144 are allowed","code":"too_large"}"#]],
    )
    .await;
    check_refused(
        &app,
        path,
        &"x".repeat((1 << 20) + 1),
        expect![[r#"413 {"detail":"the body is larger than 1048576 bytes","code":"too_large"}"#]],
    )
    .await;
    for (path, expected) in [
        ("/narrator/feed", r#"400 key "workspaceId" is missing in the query"#),
        ("/narrator/raw?workspaceId=w&limit=0", "400 limit=0 must be 1 to 200"),
        (
            "/narrator/feed?workspaceId=w&limit=201",
            "400 limit=201 must be 1 to 200",
        ),
        (
            "/narrator/feed?workspaceId=",
            r#"400 key "workspaceId" must have 1 to 1024 bytes and a visible character"#,
        ),
    ] {
        let answer = app.get(path).await;
        let detail = answer.json()["detail"].as_str().unwrap_or_default().to_owned();
        assert_eq!(format!("{} {detail}", answer.status), expected);
    }
    assert_eq!(feed(&app).await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_allows_its_methods_only() {
    let app = TestApp::start(ScriptedEngine::default()).await;
    for (method, path, allow) in [
        ("GET", "/narrator/messages", "POST"),
        ("POST", "/narrator/feed", "GET"),
        ("DELETE", "/narrator/raw", "GET"),
        ("GET", "/api/workspaces/w/narrator/messages", "POST"),
        ("POST", "/api/workspaces/w/narrator/feed", "GET"),
        ("PUT", "/api/workspaces/w/narrator/raw", "GET"),
        ("DELETE", "/controllers", "GET, POST"),
        ("GET", "/controllers/x", "DELETE"),
        ("POST", "/controllers/x/keepalive", "PUT"),
        ("GET", "/controllers/x/events", "POST"),
    ] {
        let request = HttpRequest {
            method,
            path,
            ..HttpRequest::default()
        };
        let answer = app.http(request).await;
        assert_eq!(
            (answer.status, answer.header("allow")),
            (405, Some(allow)),
            "{method} {path}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_workspace_name_escapes_its_folder() {
    let folders = Arc::new(std::sync::Mutex::new(None));
    let found = Arc::clone(&folders);
    let app = app_with_script("[]", move |settings| {
        *found.lock().expect("no test panics") = Some((settings.log_dir.clone(), settings.summary_dir.clone()));
        settings.narrator.summary_refresh = 1;
    })
    .await;
    register(&app, r#"{"agentId": "controller"}"#).await;
    let workspaces = [
        "..%2f..%2fetc",
        "%2e%2e",
        "C:%5Cx",
        "con",
        "a%00b",
        "w",
        "W",
        "%C3%A9",
        "e%CC%81",
    ];
    for workspace in workspaces {
        let path = format!("/api/workspaces/{workspace}/narrator/messages");
        let answer = post(&app, &path, &[], r#"{"message": "Hello?"}"#).await;
        assert_eq!(answer.status, 202, "{workspace}: {}", answer.body);
        let feed = app
            .get(&format!("/api/workspaces/{workspace}/narrator/feed"))
            .await
            .json();
        assert_eq!(
            feed["events"].as_array().map(Vec::len),
            Some(3),
            "{workspace} has its own log: {feed}"
        );
    }
    let folders = folders.lock().expect("no test panics").clone();
    let (logs, summaries) = folders.expect("the app has folders");
    let count = |folder: &Path| std::fs::read_dir(folder).expect("the folder is there").count();
    let counts = (count(&logs.join("narrator")), count(&summaries));
    assert_eq!(counts, (workspaces.len(), workspaces.len()));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_feed_outlives_the_process_and_leases_do_not() {
    let app = TestApp::start(ScriptedEngine::default()).await;
    register(&app, r#"{"agentId": "controller"}"#).await;
    assert_eq!(send_message(&app, "one").await.status, 202);
    let before = app.get("/narrator/raw?workspaceId=w").await.body;
    assert_eq!(before.lines().count(), 3);
    let app = app.restart(ScriptedEngine::default()).await;
    assert_eq!(app.get("/narrator/raw?workspaceId=w").await.body, before);
    let list = app.get("/controllers").await.json();
    assert_eq!(list, json!({ "controllers": [{ "agentId": "controller" }] }));
    assert_eq!(send_message(&app, "two").await.status, 202);
    let shown = ["narration user two", "narration narrator echo: two"];
    assert_eq!(feed(&app).await[2..], shown);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_that_was_deleted_is_gone() {
    let app = app_with_script("[]", |_| {}).await;
    register(&app, r#"{"agentId": "controller"}"#).await;
    assert_eq!(send_message(&app, "one").await.status, 202);
    let method = "DELETE";
    let path = "/conversations/c";
    let delete = HttpRequest {
        method,
        path,
        ..HttpRequest::default()
    };
    assert_eq!(app.http(delete).await.status, 204);
    let gone = send_message(&app, "two").await;
    assert_eq!((gone.status, gone.json()["code"].clone()), (410, json!("gone")));
}
