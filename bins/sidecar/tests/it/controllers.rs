//! Controllers from outside: registering, keeping a lease alive, publishing, releasing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use engine::ScriptedEngine;
use expect_test::expect;
use relay::Clock;
use serde_json::{Value, json};

use crate::client::{HttpRequest, HttpResponse, TestApp, kinds, no_gap};
use crate::narrator::{post, register};

/// Starts an app whose leases end by a clock that the test sets, in seconds.
async fn app() -> (TestApp, Arc<AtomicU64>) {
    let seconds = Arc::new(AtomicU64::new(0));
    let (forward, wall) = (Arc::clone(&seconds), Arc::clone(&seconds));
    let clock = Clock::new(
        move || Duration::from_secs(forward.load(Ordering::SeqCst)),
        move || i64::try_from(wall.load(Ordering::SeqCst) * 1_000).expect("a test is short"),
    );
    let app = TestApp::start_with(ScriptedEngine::default(), |settings| settings.narrator.clock = clock).await;
    (app, seconds)
}

/// Sends a request with a controller's token.
async fn ask(app: &TestApp, method: &str, path: &str, token: &str) -> HttpResponse {
    let headers = [("x-controller-token", token)];
    app.http(HttpRequest {
        method,
        path,
        headers: &headers,
        ..HttpRequest::default()
    })
    .await
}

/// Lists the controllers, each as `[agentId, workspaceId, expiresAt]`.
async fn agents(app: &TestApp) -> Vec<Value> {
    let list = app.get("/controllers").await.json();
    let controllers = list["controllers"].as_array().expect("a list").clone();
    controllers
        .into_iter()
        .map(|controller| {
            json!([
                controller["agentId"],
                controller["workspaceId"],
                controller["expiresAt"]
            ])
        })
        .collect()
}

const EVENTS: &str = r#"{"conversationId": "c", "events": [
    {"type": "step-start", "step": 1, "title": "Build"},
    {"type": "tool", "callId": "1", "name": "make", "payload": {}},
    {"type": "tool-output", "callId": "1", "name": "make", "payload": "ok"},
    {"type": "step-finish", "step": 1},
    {"type": "narration", "text": "It builds.", "source": "agent"}
]}"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_registers_renews_and_releases_its_lease() {
    let (app, seconds) = app().await;
    let built_in = json!(["controller", null, null]);
    assert_eq!(agents(&app).await, std::slice::from_ref(&built_in));
    let answer = post(
        &app,
        "/controllers",
        &[],
        r#"{"agentId": "controller", "workspaceId": "w"}"#,
    )
    .await;
    let lease = answer.json();
    let id = lease["registrationId"].as_str().expect("an id").to_owned();
    let token = lease["token"].as_str().expect("a token").to_owned();
    assert_eq!(
        (answer.status, lease["expiresAt"].clone()),
        (201, json!("1970-01-01T00:01:00.000Z"))
    );
    assert_eq!(answer.header("location"), Some(format!("/controllers/{id}").as_str()));
    assert_eq!(
        agents(&app).await,
        [built_in.clone(), json!(["controller", "w", "1970-01-01T00:01:00.000Z"])]
    );

    seconds.store(59, Ordering::SeqCst);
    let keep_alive = format!("/controllers/{id}/keepalive");
    let kept = ask(&app, "PUT", &keep_alive, &token).await;
    assert_eq!(kept.status, 200);
    assert_eq!(
        kept.json(),
        json!({ "registrationId": id, "expiresAt": "1970-01-01T00:01:59.000Z" })
    );
    seconds.store(118, Ordering::SeqCst);
    assert_eq!(agents(&app).await.len(), 2);

    let path = format!("/controllers/{id}");
    let wrong = ask(&app, "DELETE", &path, "guessed").await;
    assert_eq!((wrong.status, wrong.json()["code"].clone()), (403, json!("forbidden")));
    assert_eq!(ask(&app, "DELETE", &path, &token).await.status, 204);
    assert_eq!(agents(&app).await, [built_in]);
    let over = ask(&app, "DELETE", &path, &token).await;
    assert_eq!(
        (over.status, over.json()["code"].clone()),
        (409, json!("controller_not_registered"))
    );
    let unknown = ask(&app, "PUT", "/controllers/x/keepalive", &token).await;
    expect![[r#"{"detail":"the lease of registration \"x\" is not known: register again with POST /controllers","code":"controller_not_registered"}"#]]
        .assert_eq(&unknown.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_controller_is_refused_but_a_restarted_one_takes_its_lease_over() {
    let (app, _) = app().await;
    let body = r#"{"agentId": "controller"}"#;
    let (id, token) = register(&app, body).await;
    let held = post(&app, "/controllers", &[], body).await;
    assert_eq!((held.status, held.json()["code"].clone()), (409, json!("conflict")));
    assert!(
        held.body.contains("has a controller until 1970-01-01T00:01:00.000Z"),
        "{}",
        held.body
    );
    let again = post(&app, "/controllers", &[("x-controller-token", &token)], body).await;
    assert_eq!(again.status, 201);
    assert_ne!(again.json()["token"], json!(token));
    let old = ask(&app, "PUT", &format!("/controllers/{id}/keepalive"), &token).await;
    assert_eq!(old.status, 409);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controllers_events_reach_every_reader_and_the_feed() {
    let (app, _) = app().await;
    let (id, token) = register(&app, r#"{"agentId": "builder", "workspaceId": "w"}"#).await;
    let mut reader = app.socket().await;
    reader.ask("c", "t", "one two").await;
    let last = no_gap(0, &reader.until("done").await);
    let path = format!("/controllers/{id}/events");
    let published = post(&app, &path, &[("x-controller-token", &token)], EVENTS).await;
    assert_eq!(published.status, 200, "{}", published.body);
    assert_eq!(published.json(), json!({ "firstSeq": last + 1, "lastSeq": last + 5 }));
    let frames = reader.until("narration").await;
    no_gap(last, &frames);
    assert_eq!(kinds(&frames), "step-start tool tool-output step-finish narration");
    assert_eq!(frames[0].get("turnId"), None);
    let feed = app.get("/narrator/feed?workspaceId=w").await.json();
    let shown = feed["events"].as_array().expect("events").iter().rev();
    // Each entry as `type headline`, the oldest first.
    let shown: Vec<_> = shown
        .map(|event| format!("{} {}", event["type"], event["headline"]).replace('"', ""))
        .collect();
    assert_eq!(
        shown[..5],
        [
            "agent-update Build",
            "agent-update Asks for make",
            "agent-result Output of make",
            "agent-result Step 1 is over",
            "narration It builds."
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn events_may_be_about_a_turn() {
    let (app, _) = app().await;
    let (id, token) = register(&app, r#"{"agentId": "builder"}"#).await;
    let mut reader = app.socket().await;
    reader.ask("c", "t", "one two").await;
    reader.until("done").await;
    let publish = async |turn: &str| {
        let event = json!({ "type": "step", "step": 1 });
        let body = json!({ "conversationId": "c", "turnId": turn, "events": [event] }).to_string();
        post(
            &app,
            &format!("/controllers/{id}/events"),
            &[("x-controller-token", &token)],
            &body,
        )
        .await
    };
    assert_eq!(publish("t").await.status, 200);
    assert_eq!(reader.until("step").await[0]["turnId"], "t");
    let missing = publish("u").await;
    assert_eq!(
        (missing.status, missing.json()["code"].clone()),
        (404, json!("conversation_not_found"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_holder_of_the_lease_may_publish() {
    let (app, seconds) = app().await;
    let (id, token) = register(&app, r#"{"agentId": "controller"}"#).await;
    let (_, other) = register(&app, r#"{"agentId": "planner"}"#).await;
    let path = format!("/controllers/{id}/events");
    for headers in [
        &[] as &[(&str, &str)],
        &[("x-controller-token", "")],
        &[("x-controller-token", &other)],
    ] {
        let wrong = post(&app, &path, headers, EVENTS).await;
        assert_eq!((wrong.status, wrong.json()["code"].clone()), (403, json!("forbidden")));
    }
    let right = [("x-controller-token", token.as_str())];
    seconds.store(60, Ordering::SeqCst);
    let late = post(&app, &path, &right, EVENTS).await;
    assert_eq!(
        (late.status, late.json()["code"].clone()),
        (409, json!("controller_not_registered"))
    );
    assert!(late.body.contains("ended at 1970-01-01T00:01:00.000Z"), "{}", late.body);
    assert_eq!(app.get("/conversations/c").await.status, 404, "nothing was published");
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_registrations_and_events_are_refused_with_a_reason() {
    let (app, _) = app().await;
    for (body, expected) in [
        ("{}", "missing field `agentId`"),
        (r#"{"agentId": ""}"#, "key \"agentId\" must have 1 to 64 bytes"),
        (
            r#"{"agentId": "a", "ttlSeconds": 0}"#,
            "key \"ttlSeconds\" must be 1 to 3600, not 0",
        ),
        (
            r#"{"agentId": "a", "ttlSeconds": 3601}"#,
            "key \"ttlSeconds\" must be 1 to 3600, not 3601",
        ),
        (r#"{"agentId": "a", "ttlSeconds": "60"}"#, "invalid type: string"),
        (
            r#"{"agentId": "a", "workspaceId": " "}"#,
            "key \"workspaceId\" must have 1 to 1024 bytes",
        ),
    ] {
        let refused = post(&app, "/controllers", &[], body).await;
        assert_eq!(refused.status, 400, "{body}");
        let detail = refused.json()["detail"].as_str().unwrap_or_default().to_owned();
        assert!(detail.contains(expected), "{body}: {detail}");
    }
    let (id, token) = register(&app, r#"{"agentId": "a"}"#).await;
    let path = format!("/controllers/{id}/events");
    for (events, expected) in [
        ("", "key \"events\" must be 1 to 64 events, not 0"),
        (r#"{"type": "done"}"#, "unknown variant `done`"),
        (r#"{"type": "step"}"#, "missing field `step`"),
        (
            r#"{"type": "narration", "text": "a", "source": "nobody"}"#,
            "unknown variant `nobody`",
        ),
    ] {
        let body = format!(r#"{{"conversationId": "c", "events": [{events}]}}"#);
        let refused = post(&app, &path, &[("x-controller-token", &token)], &body).await;
        assert_eq!(refused.status, 400, "{body}");
        let detail = refused.json()["detail"].as_str().unwrap_or_default().to_owned();
        assert!(detail.contains(expected), "{body}: {detail}");
    }
}
