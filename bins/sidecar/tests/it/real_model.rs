//! The real model behind the real app, and the real binary killed while it answers.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use engine_burn::{BurnEngine, BurnEngineSettings};
use serde_json::{Value, json};
use streaming_llm_sidecar::App;

use crate::client::{Http, Socket, http, no_gap, settings, text};

/// The default model's file; a test without it fails.
fn model() -> PathBuf {
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
        .say(json!({ "agentId": "planner", "message": "Name three colours.", "options": options }))
        .await;
    let first = socket.until("done").await;
    let last = no_gap(0, &first);
    socket.say(json!({ "message": "And three more." })).await;
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
            Http {
                path: "/readyz",
                ..Http::default()
            }
        )
        .await
        .status,
        200
    );
    running.stop().await.expect("the app stops");
}

/// The binary, serving on a free port; killed when dropped.
struct Sidecar {
    child: Child,
    authority: String,
}

impl Sidecar {
    fn start(folder: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_sidecar"))
            .current_dir(folder)
            .env("STREAMING_LLM_MODEL", model())
            .env("STREAMING_LLM_HOST", "127.0.0.1")
            .env("STREAMING_LLM_PORT", "0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("stdout is piped");
        BufReader::new(stdout).read_line(&mut line).expect("stdout is text");
        let authority = line
            .trim_end()
            .strip_prefix("listening on http://")
            .unwrap_or_else(|| panic!("not listening: {line:?}"));
        Self {
            authority: authority.to_owned(),
            child,
        }
    }
}

impl Drop for Sidecar {
    /// SIGKILL: nothing in the process gets to clean up.
    fn drop(&mut self) {
        self.child.kill().expect("the process is ours");
        self.child.wait().expect("the process is ours");
    }
}

/// What a client has seen of a log.
#[derive(Default)]
struct Seen {
    last: u64,
    frames: BTreeMap<u64, Value>,
}

impl Seen {
    #[track_caller]
    fn add(&mut self, frame: Value) {
        if frame["seq"].is_u64() {
            self.last = no_gap(self.last, std::slice::from_ref(&frame));
            self.frames.insert(self.last, frame);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_to_twenty_kills() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let mut seen = Seen::default();
    // A fixed sequence of kill points (Knuth's multiplicative generator), 0 to 11 tokens into the answer.
    let mut random = 2_463_534_242_u64;
    for kill in 0..20 {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let tokens = (random >> 33) % 12;
        let sidecar = Sidecar::start(folder.path());
        let mut socket = Socket::open(&sidecar.authority, &[])
            .await
            .expect("the handshake succeeds");
        if kill > 0 {
            resume(&mut socket, &mut seen).await;
        }
        let options = json!({ "temperature": 0, "maxNewTokens": 16 });
        let turn = format!("turn-{kill}");
        socket
            .say(json!({ "agentId": "planner", "conversationId": "c", "turnId": turn, "message": "Tell me a story.", "options": options }))
            .await;
        read_until_kill(&mut socket, &mut seen, tokens).await;
        drop(sidecar);
    }
    check_log(folder.path(), &seen).await;
}

/// Reads what was missed: the end of the turn that was cut off, unless it was over.
async fn resume(socket: &mut Socket, seen: &mut Seen) {
    socket
        .say(json!({ "type": "resume", "conversationId": "c", "after": seen.last }))
        .await;
    if seen
        .frames
        .values()
        .next_back()
        .is_some_and(|frame| frame["type"] == "done")
    {
        return;
    }
    loop {
        let frame = socket.hear().await;
        let (kind, code) = (frame["type"].clone(), frame["code"].clone());
        seen.add(frame);
        if kind == "error" {
            assert_eq!(code, "interrupted");
        }
        if kind == "done" || kind == "error" {
            return;
        }
    }
}

/// Reads an answer until `tokens` of it have come, or its end.
async fn read_until_kill(socket: &mut Socket, seen: &mut Seen, tokens: u64) {
    let mut count = 0;
    loop {
        let frame = socket.hear().await;
        let kind = frame["type"].clone();
        seen.add(frame);
        count += u64::from(kind == "token");
        if kind == "done" || (kind == "started" && tokens == 0) || (tokens > 0 && count >= tokens) {
            return;
        }
    }
}

/// Compares the log on disk with all that was seen.
async fn check_log(folder: &Path, seen: &Seen) {
    let sidecar = Sidecar::start(folder);
    let mut logged = BTreeMap::new();
    let mut after = 0;
    loop {
        let path = format!("/conversations/c/events?after={after}");
        let page = http(
            &sidecar.authority,
            Http {
                path: &path,
                ..Http::default()
            },
        )
        .await
        .json();
        let events = page["events"].as_array().expect("a list").clone();
        let Some(last) = events.last() else { break };
        after = last["seq"].as_u64().expect("a seq");
        logged.extend(
            events
                .into_iter()
                .map(|event| (event["seq"].as_u64().expect("a seq"), event)),
        );
    }
    assert!(logged.keys().copied().eq(1..=after), "the log has a gap");
    for (seq, frame) in &seen.frames {
        if frame["firstSeq"].is_null() {
            assert_eq!(logged.get(seq), Some(frame), "event {seq} is not what was seen");
        }
    }
    let conversation = http(
        &sidecar.authority,
        Http {
            path: "/conversations/c",
            ..Http::default()
        },
    )
    .await
    .json();
    let turns = conversation["turns"].as_array().expect("a list");
    assert_eq!(turns.len(), 20);
    assert!(
        turns
            .iter()
            .all(|turn| turn["state"] == "done" || turn["state"] == "interrupted"),
        "{turns:?}"
    );
}

#[test]
fn ids_are_generated_from_ids() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let ids = folder.path().join("ids.json");
    std::fs::write(&ids, "[504, 1183, 282]").expect("a file can be written");
    let output = Command::new(env!("CARGO_BIN_EXE_sidecar"))
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
