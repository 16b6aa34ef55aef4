//! The binary stopped between the turns of a conversation: the next one goes on as if it had never been.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::client::{Http, Socket, http, text};
use crate::process::{Sidecar, toy_model, write_brief_agent};

/// What a turn was: its answer, and what it found in the cache.
type Said = (String, Option<u64>);

fn start(folder: &Path, kv_disk_mb: &str) -> Sidecar {
    let model = toy_model().with_file_name("toy-llama-q4_1.gguf");
    Sidecar::start(folder, model, &[("STREAMING_LLM_KV_DISK_MB", OsStr::new(kv_disk_mb))])
}

/// SIGTERM, and a wait for the end.
fn stop(sidecar: Sidecar) {
    sidecar.terminate();
    assert!(sidecar.ended().success());
}

async fn turn(sidecar: &Sidecar, idx: usize) -> Said {
    let mut socket = Socket::open(&sidecar.authority, &[])
        .await
        .expect("the handshake succeeds");
    let message = format!("Tell me story {idx}.");
    let options = json!({ "temperature": 0, "maxNewTokens": 40 });
    socket
        .say(json!({ "agentId": "brief", "conversationId": "c", "message": message, "options": options }))
        .await;
    let frames = socket.until("done").await;
    let started = frames.iter().find(|frame| frame["type"] == "started");
    (text(&frames), started.expect("a started")["cachedTokens"].as_u64())
}

/// Four turns in one folder, with a new process for each if `restarts`.
async fn turns(folder: &Path, kv_disk_mb: &str, restarts: bool) -> Vec<Said> {
    write_brief_agent(folder);
    let mut sidecar = start(folder, kv_disk_mb);
    let mut said = Vec::new();
    for idx in 0..4 {
        said.push(turn(&sidecar, idx).await);
        if restarts {
            stop(sidecar);
            sidecar = start(folder, kv_disk_mb);
        }
    }
    stop(sidecar);
    said
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
    let said = turns(folder.path(), "0", true).await;
    assert!(said.iter().all(|(_, cached)| *cached == Some(0)), "{said:?}");
    assert!(!folder.path().join("data/kv").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_conversation_is_off_the_disk_when_that_is_said() {
    let folder = folder();
    write_brief_agent(folder.path());
    let sidecar = start(folder.path(), "1");
    turn(&sidecar, 0).await;
    stop(sidecar);
    assert_eq!(cache_files(folder.path()).len(), 1);
    let sidecar = start(folder.path(), "1");
    let deleted = http(
        &sidecar.authority,
        Http {
            method: "DELETE",
            path: "/conversations/c",
            ..Http::default()
        },
    );
    assert_eq!(deleted.await.status, 204);
    assert!(cache_files(folder.path()).is_empty());
}
