//! Data of an earlier commit (`fixtures/data-before`) is opened and goes on: the log, a live journal, saved caches, an
//! export.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::client::{HttpRequest, HttpResponse, Socket, http, no_gap, text};
use crate::process::{Sidecar, toy_model, write_brief_agent};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fixtures/data-before")
        .join(name)
}

/// Reads what the earlier commit answered next.
fn expected() -> Value {
    let text = fs::read_to_string(fixture("expected.json")).expect("the fixture is there");
    serde_json::from_str(&text).expect("it is JSON")
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder can be made");
    for entry in fs::read_dir(from).expect("the fixture is there") {
        let from = entry.expect("it can be read").path();
        let to = to.join(from.file_name().expect("entries have names"));
        if from.is_dir() {
            copy(&from, &to);
        } else {
            fs::copy(&from, &to).expect("a file can be copied");
        }
    }
}

/// Starts the binary on a copy of the data.
fn start(folder: &Path) -> Sidecar {
    write_brief_agent(folder);
    copy(&fixture("data"), &folder.join("data"));
    Sidecar::start(folder, toy_model().with_file_name("toy-llama-q4_1.gguf"), &[])
}

async fn get(sidecar: &Sidecar, path: &str) -> HttpResponse {
    let request = HttpRequest {
        method: "GET",
        path,
        ..HttpRequest::default()
    };
    http(&sidecar.authority, request).await
}

/// Says `Go on.` and compares answer and cached tokens with those of the earlier commit.
async fn check_next_turn(sidecar: &Sidecar, conversation: &str) {
    let mut socket = Socket::open(&sidecar.authority, &[])
        .await
        .expect("the handshake succeeds");
    let options = json!({ "temperature": 0.9, "seed": 12, "maxNewTokens": 48 });
    let message =
        json!({ "agentId": "brief", "conversationId": conversation, "message": "Go on.", "options": options });
    socket.send(message).await;
    let frames = socket.until("done").await;
    let started = frames.iter().find(|frame| frame["type"] == "started");
    let expected = &expected()[conversation];
    assert_eq!(started.expect("a started")["cachedTokens"], expected["cachedTokens"]);
    assert_eq!(text(&frames), expected["answer"].as_str().expect("an answer"));
    assert_eq!(frames.last().expect("a done")["seq"], expected["lastSeq"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_of_an_earlier_commit_goes_on_from_its_saved_cache() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    check_next_turn(&start(folder.path()), "whole").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_that_was_cut_off_keeps_what_the_journal_has_and_the_next_one_goes_on() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let sidecar = start(folder.path());
    let conversation = get(&sidecar, "/conversations/cut").await.json();
    let cut = &conversation["turns"][1];
    assert_eq!((&cut["turnId"], &cut["state"]), (&json!("u2"), &json!("interrupted")));
    assert_eq!(cut["answerText"], expected()["cut"]["interruptedAnswer"]);
    let log = get(&sidecar, "/conversations/cut/events?after=0&limit=1000")
        .await
        .json();
    let events = log["events"].as_array().expect("a list of events");
    no_gap(0, events);
    check_next_turn(&sidecar, "cut").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_of_an_earlier_commit_is_imported_and_exported_as_it_was() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let sidecar = start(folder.path());
    let archive = fs::read_to_string(fixture("whole.export.jsonl")).expect("the fixture is there");
    let exported = get(&sidecar, "/conversations/whole/export").await;
    assert_eq!(exported.body, archive);
    let imported = HttpRequest {
        method: "POST",
        path: "/conversations/import?as=copy",
        headers: &[("content-type", "application/jsonl")],
        body: &archive,
    };
    let imported = http(&sidecar.authority, imported).await;
    assert_eq!(imported.status, 201, "{}", imported.body);
    let copied = get(&sidecar, "/conversations/copy/export").await.body;
    // The header has the conversation's id.
    let behind_header = |archive: &str| archive.lines().skip(1).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(behind_header(&copied), behind_header(&archive));
}
