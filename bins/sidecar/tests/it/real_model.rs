//! The real model behind the real app and the real binary.

use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use engine_burn::{BurnEngine, BurnEngineSettings};
use serde_json::{Value, json};
use streaming_llm_sidecar::App;

use crate::client::{HttpRequest, Socket, http, no_gap, settings, text};
use crate::kills::survive_kills;
use crate::process::HOME_VARIABLE;

/// Returns the path of the default model; a test without it fails.
pub fn model() -> PathBuf {
    let path = std::env::var_os("SIDECAR_MODEL").map(PathBuf::from);
    let path =
        path.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/smollm2-135m-instruct.gguf"));
    assert!(
        path.is_file(),
        "{} is missing: `cargo xtask model` fetches it",
        path.display()
    );
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn two_turns_are_answered_over_the_socket() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let engine = BurnEngine::start(BurnEngineSettings::new(model(), "smollm2")).expect("the model is there");
    let running = App::start(settings(folder.path()), Arc::new(engine))
        .await
        .expect("the app starts");
    let authority = running.addrs[0].to_string();
    let mut socket = Socket::open(&authority, &[]).await.expect("the handshake succeeds");
    let options = json!({ "temperature": 0, "maxNewTokens": 24 });
    socket
        .send(json!({ "agentId": "planner", "message": "Name three colours.", "options": options }))
        .await;
    let first = socket.until("done").await;
    let last = no_gap(0, &first);
    socket.send(json!({ "message": "And three more." })).await;
    let second = socket.until("done").await;
    no_gap(last, &second);
    assert!(!text(&first).trim().is_empty() && !text(&second).trim().is_empty());
    let started = second
        .iter()
        .find(|frame| frame["type"] == "started")
        .expect("a started");
    assert!(
        started["cachedTokens"].as_u64() > Some(0),
        "the second turn goes on from the first one's cache: {started}"
    );
    assert_eq!(
        http(
            &authority,
            HttpRequest {
                path: "/readyz",
                ..HttpRequest::default()
            }
        )
        .await
        .status,
        200
    );
    running.stop().await.expect("the app stops");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_to_twenty_kills() {
    survive_kills(&model(), 20, 12).await;
}

#[test]
fn ids_are_generated_from_ids() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let ids = folder.path().join("ids.json");
    std::fs::write(&ids, "[504, 1183, 282]").expect("a file can be written");
    let output = Command::new(env!("CARGO_BIN_EXE_sidecar"))
        .env_remove(HOME_VARIABLE)
        .args([
            "generate",
            "--max-new-tokens",
            "5",
            "--sinks",
            "4",
            "--window",
            "252",
            "--temperature",
            "0",
            "--json",
        ])
        .arg("--model")
        .arg(model())
        .arg("--ids")
        .arg(&ids)
        .current_dir(folder.path())
        .output()
        .expect("the binary runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let answer: Value = serde_json::from_slice(&output.stdout).expect("stdout is JSON");
    assert_eq!(answer["tokens"].as_array().map(Vec::len), Some(5));
    assert!(answer["text"].as_str().is_some_and(|text| !text.is_empty()));
}

#[test]
fn a_chat_without_a_sidecar_starts_its_own() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let free = TcpListener::bind("127.0.0.1:0")
        .expect("a free port")
        .local_addr()
        .expect("it is bound")
        .port();
    let mut child = Command::new(env!("CARGO_BIN_EXE_sidecar"))
        .env_remove(HOME_VARIABLE)
        .arg("chat")
        .current_dir(folder.path())
        .env("STREAMING_LLM_MODEL", model())
        .env("STREAMING_LLM_HOST", "127.0.0.1")
        .env("STREAMING_LLM_PORT", free.to_string())
        .env("STREAMING_LLM_MAX_NEW_TOKENS", "8")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut stdin = child.stdin.take().expect("stdin is piped");
    stdin.write_all(b"Say hello.\n/quit\n").expect("the chat reads");
    drop(stdin);
    let output = child.wait_with_output().expect("the chat ends");
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success() && !out.trim().is_empty(), "{out}{err}");
    assert!(
        err.contains("starting one for this chat") && err.contains("continue with: sidecar chat"),
        "{err}"
    );
}
