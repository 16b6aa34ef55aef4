//! The binary is stopped between the turns of a conversation: the next turn goes on as if it had kept running.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::client::{HttpRequest, Socket, http, text};
use crate::process::{Sidecar, toy_model, write_brief_agent};

/// A turn's answer, and how many tokens of its prompt were cached.
type Outcome = (String, Option<u64>);

fn start(folder: &Path, kv_disk_mb: &str) -> Sidecar {
    let model = toy_model().with_file_name("toy-llama-q4_1.gguf");
    Sidecar::start(folder, model, &[("STREAMING_LLM_KV_DISK_MB", OsStr::new(kv_disk_mb))])
}

/// Sends SIGTERM and waits for the end.
fn stop(sidecar: Sidecar) {
    sidecar.terminate();
    assert!(sidecar.wait().success());
}

async fn turn(sidecar: &Sidecar, idx: usize) -> Outcome {
    let mut socket = Socket::open(&sidecar.authority, &[])
        .await
        .expect("the handshake succeeds");
    let message = format!("Tell me story {idx}.");
    let options = json!({ "temperature": 0, "maxNewTokens": 40 });
    socket
        .send(json!({ "agentId": "brief", "conversationId": "c", "message": message, "options": options }))
        .await;
    let frames = socket.until("done").await;
    let started = frames.iter().find(|frame| frame["type"] == "started");
    (text(&frames), started.expect("a started")["cachedTokens"].as_u64())
}

/// Runs four turns in one folder, with a new process for each if `restarts`.
async fn turns(folder: &Path, kv_disk_mb: &str, restarts: bool) -> Vec<Outcome> {
    write_brief_agent(folder);
    let mut sidecar = start(folder, kv_disk_mb);
    let mut outcomes = Vec::new();
    for idx in 0..4 {
        outcomes.push(turn(&sidecar, idx).await);
        if restarts {
            stop(sidecar);
            sidecar = start(folder, kv_disk_mb);
        }
    }
    stop(sidecar);
    outcomes
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder can be made")
}

fn cache_files(folder: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(folder.join("data/kv")).expect("there is a folder of caches");
    files.map(|file| file.expect("it can be read").path()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_goes_on_after_restarts_as_without_them() {
    let (steady, restarted) = (folder(), folder());
    let expected = turns(steady.path(), "2048", false).await;
    assert!(
        expected[1..].iter().all(|(_, cached)| *cached > Some(0)),
        "{expected:?}"
    );
    assert_eq!(turns(restarted.path(), "2048", true).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_room_on_disk_a_restart_reads_the_history_again() {
    let folder = folder();
    let outcomes = turns(folder.path(), "0", true).await;
    assert!(outcomes.iter().all(|(_, cached)| *cached == Some(0)), "{outcomes:?}");
    assert!(!folder.path().join("data/kv").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_conversation_is_off_the_disk_before_the_response() {
    let folder = folder();
    write_brief_agent(folder.path());
    let sidecar = start(folder.path(), "1");
    turn(&sidecar, 0).await;
    stop(sidecar);
    assert_eq!(cache_files(folder.path()).len(), 1);
    let sidecar = start(folder.path(), "1");
    let deleted = http(
        &sidecar.authority,
        HttpRequest {
            method: "DELETE",
            path: "/conversations/c",
            ..HttpRequest::default()
        },
    );
    assert_eq!(deleted.await.status, 204);
    assert!(cache_files(folder.path()).is_empty());
}
