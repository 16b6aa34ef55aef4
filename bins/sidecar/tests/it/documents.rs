//! The documents that the sidecar serves describe what it serves.

use std::collections::BTreeSet;

use engine::ScriptedEngine;

use crate::client::{HttpRequest, TestApp};

/// A method that no route answers.
const NO_METHOD: &str = "PATCH";

#[tokio::test(flavor = "multi_thread")]
async fn documents_are_served() {
    let app = TestApp::start(ScriptedEngine::default()).await;
    for (path, key, version) in [
        ("/openapi.json", "openapi", "3.1.0"),
        ("/asyncapi.json", "asyncapi", "3.0.0"),
    ] {
        let answer = app.get(path).await;
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.header("content-type"), Some("application/json"), "{path}");
        let document = answer.json();
        assert_eq!(document[key], version, "{path}");
        assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_documented_route_is_served_and_allow_is_correct() {
    let app = TestApp::start(ScriptedEngine::default()).await;
    let document = app.get("/openapi.json").await.json();
    let paths = document["paths"].as_object().expect("the document has paths");
    for (template, methods) in paths {
        // No conversation, turn, workspace or registration has this name; the methods of a path don't depend on it.
        let path = &template.replace("{id}", "x").replace("{turnId}", "x");
        let methods = methods.as_object().expect("a path has methods");
        let documented: BTreeSet<String> = methods.keys().map(|method| method.to_uppercase()).collect();
        assert_eq!(allowed(&app, path).await, documented, "{template}");
        for method in &documented {
            let answer = ask(&app, method, path).await;
            assert!(!is_no_route(&answer), "{method} {template}: {answer}");
        }
    }
}

/// Sends a request; returns the response as `STATUS BODY`.
async fn ask(app: &TestApp, method: &str, path: &str) -> String {
    let answer = app
        .http(HttpRequest {
            method,
            path,
            ..HttpRequest::default()
        })
        .await;
    format!("{} {}", answer.status, answer.body)
}

fn is_no_route(answer: &str) -> bool {
    answer.starts_with("405") || answer.contains("there is nothing at")
}

/// Returns the methods in the `Allow` header of a 405.
async fn allowed(app: &TestApp, path: &str) -> BTreeSet<String> {
    let answer = app
        .http(HttpRequest {
            method: NO_METHOD,
            path,
            ..HttpRequest::default()
        })
        .await;
    assert_eq!(answer.status, 405, "{path}");
    let allow = answer.header("allow").unwrap_or_default();
    allow.split(", ").map(str::to_owned).collect()
}
