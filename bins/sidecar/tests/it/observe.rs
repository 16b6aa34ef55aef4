//! What can be observed from outside: metrics, request ids, logs.

use engine::ScriptedEngine;
use protocol::ApiKey;
use serde_json::json;

use crate::client::{HttpRequest, TestApp};
use crate::wait::wait_until;

/// Returns the value of one series of the metrics page.
#[track_caller]
fn value(page: &str, series: &str) -> f64 {
    let found = page
        .lines()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    let value = found.unwrap_or_else(|| panic!("no {series} in {page}"));
    value.parse().expect("a number")
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_count_turns_tokens_and_sockets() {
    let app = TestApp::start(ScriptedEngine::default().held()).await;
    let mut socket = app.socket().await;
    socket.ask("c", "t1", "one two").await;
    socket.until("started").await;
    socket.ask("c", "t2", "three").await;
    socket.until("user").await;
    let page = app.get("/metrics").await;
    assert_eq!(
        page.header("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    for (series, expected) in [
        ("streaming_llm_turns_running", 1.0),
        ("streaming_llm_turns_waiting", 1.0),
        ("streaming_llm_sockets_open", 1.0),
        ("streaming_llm_turns_total{state=\"done\"}", 0.0),
        ("streaming_llm_first_token_seconds_count", 0.0),
        ("streaming_llm_http_answers_total{status=\"1xx\"}", 1.0),
    ] {
        assert_eq!(value(&page.body, series), expected, "{series}");
    }

    socket.send(json!({ "type": "cancel", "turnId": "t2" })).await;
    app.engine.release(100);
    let mut ends = 0;
    while ends < 2 {
        ends += socket
            .until("done")
            .await
            .iter()
            .filter(|frame| frame["type"] == "done")
            .count();
    }
    wait_until("no turn runs or waits", async || {
        let page = app.get("/metrics").await.body;
        value(&page, "streaming_llm_turns_running") + value(&page, "streaming_llm_turns_waiting") == 0.0
    })
    .await;
    let page = app.get("/metrics").await.body;
    for (series, expected) in [
        ("streaming_llm_turns_total{state=\"done\"}", 1.0),
        ("streaming_llm_turns_total{state=\"cancelled\"}", 1.0),
        ("streaming_llm_turns_total{state=\"failed\"}", 0.0),
        ("streaming_llm_turns_total{state=\"interrupted\"}", 0.0),
        ("streaming_llm_answer_tokens_total", 3.0),
        ("streaming_llm_evicted_tokens_total", 0.0),
        ("streaming_llm_cache_bytes", 0.0),
        ("streaming_llm_first_token_seconds_count", 1.0),
        ("streaming_llm_first_token_seconds_bucket{le=\"+Inf\"}", 1.0),
        ("streaming_llm_token_interval_seconds_count", 1.0),
        ("streaming_llm_commit_seconds_count", 4.0),
    ] {
        assert_eq!(value(&page, series), expected, "{series}");
    }
    check_format(&page);
}

/// Checks the rules of the text format: every series follows its `TYPE`, buckets rise, nothing comes twice.
#[track_caller]
fn check_format(page: &str) {
    let (mut family, mut bucket) = (String::new(), 0.0);
    let mut seen = std::collections::HashSet::new();
    for line in page.lines() {
        if let Some(head) = line.strip_prefix("# TYPE ") {
            family = head.split(' ').next().expect("a name").to_owned();
            bucket = 0.0;
        }
        if line.starts_with('#') {
            continue;
        }
        let (series, number) = line.rsplit_once(' ').expect("a series and its value");
        assert!(series.starts_with(&family) && seen.insert(series), "{line}");
        if series.contains("_bucket") {
            let count: f64 = number.parse().expect("a number");
            assert!(count >= bucket, "{line}");
            bucket = count;
        }
    }
    assert!(page.ends_with('\n'));
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_require_the_key() {
    let app = TestApp::start_with(ScriptedEngine::default(), |settings| {
        settings.api_key = Some(ApiKey::new("secret".to_owned()));
    })
    .await;
    assert_eq!(app.get("/metrics").await.status, 401);
    let headers = [("authorization", "Bearer secret")];
    let request = HttpRequest {
        path: "/metrics",
        headers: &headers,
        ..HttpRequest::default()
    };
    assert_eq!(app.http(request).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_response_carries_a_request_id() {
    let app = TestApp::start(ScriptedEngine::default()).await;
    let id_of = async |path: &str, headers: &[(&str, &str)]| {
        let request = HttpRequest {
            path,
            headers,
            ..HttpRequest::default()
        };
        app.http(request).await.header("x-request-id").map(str::to_owned)
    };
    let longest = "x".repeat(64);
    for name in ["a", "trace/1:~", &longest] {
        assert_eq!(id_of("/agents", &[("x-request-id", name)]).await.as_deref(), Some(name));
    }
    let foreign = [("host", "evil.example"), ("x-request-id", "mine")];
    assert_eq!(
        id_of("/agents", &foreign).await.as_deref(),
        Some("mine"),
        "a refusal too"
    );
    let too_long = "x".repeat(65);
    for bad in ["", "a b", "é", &too_long] {
        let id = id_of("/nowhere", &[("x-request-id", bad)]).await.expect("a name");
        assert!(id.len() == 32 && id != bad, "{bad:?}: {id:?}");
    }
    let two = [("x-request-id", "a"), ("x-request-id", "b")];
    assert_eq!(id_of("/agents", &two).await.expect("a name").len(), 32);
    assert_ne!(id_of("/agents", &[]).await, id_of("/agents", &[]).await);
}

#[cfg(unix)]
mod logs {
    use std::ffi::OsStr;
    use std::path::Path;

    use serde_json::{Value, json};

    use crate::client::{HttpRequest, Socket, http, text};
    use crate::process::{Sidecar, toy_model, write_brief_agent};

    /// Returns every line of every log file in a folder.
    fn lines(folder: &Path) -> Vec<String> {
        let files = std::fs::read_dir(folder).expect("the folder is there");
        let files = files
            .map(|file| file.expect("a file").path())
            .filter(|file| file.is_file());
        let files = files.map(|file| std::fs::read_to_string(file).expect("logs are text"));
        files
            .flat_map(|file| file.lines().map(str::to_owned).collect::<Vec<_>>())
            .collect()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn logs_name_turns_and_requests_and_hold_no_text_of_messages() {
        const MARKER: &str = "quixotic-zeppelin";
        // Every crate that may have text in its hands logs everything it can.
        const FILTER: &str = "debug,streaming_llm_sidecar=trace,streaming_llm_chat=trace,streaming_llm_conversation_store=trace,streaming_llm_engine_burn=trace,actix_http=trace,actix_web=trace";
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        write_brief_agent(folder.path());
        let sidecar = Sidecar::start(folder.path(), toy_model(), &[("RUST_LOG", OsStr::new(FILTER))]);
        let mut socket = Socket::open(&sidecar.authority, &[])
            .await
            .expect("the handshake succeeds");
        socket
            .send(json!({
                "agentId": "brief", "conversationId": "talk", "turnId": "first", "message": MARKER,
                "options": { "temperature": 0, "maxNewTokens": 12 },
            }))
            .await;
        let answer = text(&socket.until("done").await);
        let named = [("x-request-id", "find-me")];
        let request = HttpRequest {
            path: "/conversations/talk/events",
            headers: &named,
            ..HttpRequest::default()
        };
        assert!(http(&sidecar.authority, request).await.body.contains(MARKER));
        sidecar.terminate();
        assert!(sidecar.wait().success());

        let lines = lines(&folder.path().join("data/logs"));
        for line in &lines {
            assert!(!line.contains(MARKER), "{line}");
            assert!(answer.len() < 8 || !line.contains(answer.trim()), "{line}");
        }
        let parsed = || {
            lines
                .iter()
                .map(|line| serde_json::from_str::<Value>(line).expect("lines are JSON"))
        };
        let mut ends = parsed().filter(|line| line["message"] == "a turn has ended");
        let end = ends.next().expect("the end of the turn is logged");
        assert_eq!(
            (
                end["span"]["conversation"].clone(),
                end["span"]["turn"].clone(),
                end["state"].clone()
            ),
            (json!("talk"), json!("first"), json!("done"))
        );
        assert!(parsed().any(|line| line["span"]["id"] == "find-me" && line["status"] == 200));
    }
}
