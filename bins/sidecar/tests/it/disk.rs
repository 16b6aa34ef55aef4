//! The binary on a disk that takes nothing: every failure is reported, nothing is lost, and all works again as soon as
//! the disk takes something.
//!
//! The limit on file sizes is the kernel's own, set from outside while the process runs (`prlimit`): at 0 no file takes
//! another byte.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::SystemTime;

use serde_json::{Value, json};
use upstream::testing::{ScriptedServer, Step};

use crate::client::{HttpRequest, HttpResponse, Socket, http, no_gap};
use crate::process::{Sidecar, binary, set_up, toy_model, write_brief_agent};

/// Limits the size to which a process' files may grow; `unlimited` removes the limit.
pub fn limit_files(process: u32, limit: &str) {
    let status = Command::new("prlimit")
        .args(["--pid", &process.to_string(), &format!("--fsize={limit}:")])
        .status();
    assert!(status.expect("prlimit runs").success());
}

async fn ask(socket: &mut Socket, conversation: &str, turn: &str) {
    let options = json!({ "temperature": 0, "maxNewTokens": 8 });
    socket
        .send(json!({ "agentId": "brief", "conversationId": conversation, "turnId": turn, "message": "Say it.", "options": options }))
        .await;
}

async fn send(sidecar: &Sidecar, method: &str, path: &str, body: &str) -> HttpResponse {
    let headers = [("content-type", "application/json")];
    http(
        &sidecar.authority,
        HttpRequest {
            method,
            path,
            body,
            headers: &headers,
        },
    )
    .await
}

async fn open(sidecar: &Sidecar) -> Socket {
    Socket::open(&sidecar.authority, &[])
        .await
        .expect("the handshake succeeds")
}

/// Checks that an error says what is wrong with the disk.
#[track_caller]
fn check_disk_error(error: &Value, expected: &str) {
    assert_eq!(error["code"], "internal", "{error}");
    let words = error["message"].as_str().or(error["detail"].as_str());
    assert!(
        words.is_some_and(|words| words.contains(expected)),
        "{error} doesn't say {expected:?}"
    );
}

const REFUSED: &str = "the system refuses it";

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_reported_and_harms_nothing_that_is_stored() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    write_brief_agent(folder.path());
    let sidecar = Sidecar::start(folder.path(), toy_model(), &[]);
    let mut socket = open(&sidecar).await;
    ask(&mut socket, "c", "before").await;
    let last = no_gap(0, &socket.until("done").await);
    let agent = r#"{"name":"Kept","system_prompt":"Be kept.","markdown_context":""}"#;
    assert_eq!(send(&sidecar, "PUT", "/agents/kept", agent).await.status, 201);
    let exported = send(&sidecar, "GET", "/conversations/c/export", "").await.body;

    limit_files(sidecar.id(), "0");
    ask(&mut socket, "c", "refused").await;
    check_disk_error(&socket.recv().await, REFUSED);
    ask(&mut socket, "new", "refused").await;
    check_disk_error(&socket.recv().await, REFUSED);
    for (method, path, body, expected) in [
        (
            "PUT",
            "/agents/kept",
            r#"{"name":"New","system_prompt":"","markdown_context":""}"#,
            "cannot write the agent: File too large",
        ),
        ("POST", "/conversations/import?as=copy", exported.as_str(), REFUSED),
        ("DELETE", "/conversations/c", "", REFUSED),
        (
            "POST",
            "/narrator/messages",
            r#"{"workspaceId":"w","message":"hi"}"#,
            "narrator's files: File too large",
        ),
    ] {
        let answer = send(&sidecar, method, path, body).await;
        assert_eq!(answer.status, 500, "{method} {path}: {}", answer.body);
        check_disk_error(&answer.json(), expected);
    }
    assert_eq!(send(&sidecar, "GET", "/agents/kept", "").await.json()["name"], "Kept");
    assert_eq!(
        send(&sidecar, "GET", "/conversations/c/export", "").await.body,
        exported
    );
    assert_eq!(send(&sidecar, "GET", "/conversations/new", "").await.status, 404);
    assert_eq!(send(&sidecar, "GET", "/conversations/copy", "").await.status, 404);

    limit_files(sidecar.id(), "unlimited");
    ask(&mut socket, "c", "after").await;
    assert_eq!(no_gap(last, &socket.until("done").await), 2 * last);
    drop(sidecar);
    let sidecar = Sidecar::start(folder.path(), toy_model(), &[]);
    let turns = send(&sidecar, "GET", "/conversations/c", "").await.json()["turns"].clone();
    let states = turns
        .as_array()
        .expect("a list")
        .iter()
        .map(|turn| (&turn["turnId"], &turn["state"]));
    let done = json!("done");
    assert!(
        states.eq([(&json!("before"), &done), (&json!("after"), &done)]),
        "{turns}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fills_up_during_an_answer_is_reported_and_the_turn_ends_once_there_is_space() {
    let token = |text: &str| {
        Step::send(format!(
            "data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n"
        ))
    };
    let script = vec![
        Step::head("200 OK", "text/event-stream"),
        token("kept"),
        Step::Wait,
        token(" lost"),
        Step::Hang,
    ];
    let server = ScriptedServer::start(vec![script]).await;
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    write_brief_agent(folder.path());
    let url = server.url().to_owned();
    let sidecar = Sidecar::start(folder.path(), "openai:m", &[("STREAMING_LLM_OPENAI_URL", url.as_ref())]);
    let mut socket = open(&sidecar).await;
    ask(&mut socket, "c", "t").await;
    let before = socket.until("token").await;

    limit_files(sidecar.id(), "0");
    server.go_on();
    let error = socket.recv().await;
    assert_eq!((&error["type"], &error["turnId"]), (&json!("error"), &json!("t")));
    assert!(error["seq"].is_null(), "{error}");
    check_disk_error(&error, REFUSED);
    // A socket that takes the turn over receives the same error.
    let mut other = open(&sidecar).await;
    other
        .send(json!({ "type": "resume", "conversationId": "c", "after": 0, "own": true }))
        .await;
    let received = other.until("error").await;
    assert!(
        received
            .iter()
            .any(|frame| frame["type"] == "error" && frame["seq"].is_null()),
        "{received:?}"
    );

    limit_files(sidecar.id(), "unlimited");
    let end = socket.until("error").await;
    check_disk_error(end.last().expect("an end"), REFUSED);
    let last = no_gap(no_gap(0, &before), &end);
    assert_eq!(last, 4, "user, started, token and error are all there is");
    let turn = send(&sidecar, "GET", "/conversations/c", "").await.json()["turns"][0].clone();
    assert_eq!(
        (&turn["state"], &turn["answerText"]),
        (&json!("failed"), &json!("kept")),
        "{turn}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_that_cannot_be_written_stop_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    write_brief_agent(folder.path());
    let logs = folder.path().join("logs");
    fs::create_dir(&logs).expect("a folder can be made");
    let full = File::options()
        .write(true)
        .open("/dev/full")
        .expect("the kernel has one");
    for day in 0..2 {
        symlink("/dev/full", logs.join(format!("sidecar.{}.jsonl", date(day)))).expect("a link can be made");
    }
    let mut command = binary(folder.path(), toy_model());
    command
        .env("RUST_LOG", "debug")
        .env("STREAMING_LLM_LOG_DIR", &logs)
        .stderr(full);
    let sidecar = Sidecar::serving(command).expect("it serves");
    let mut socket = open(&sidecar).await;
    ask(&mut socket, "c", "t").await;
    socket.until("done").await;
    sidecar.terminate();
    assert!(sidecar.wait().success());
}

/// Returns the date of today or a later day, as it is in a log file's name.
fn date(later: u64) -> String {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .expect("it is later than 1970");
    let seconds = i64::try_from(now.as_secs() + later * 86_400).expect("it is before the end of time");
    chat::rfc3339(seconds * 1_000)[..10].to_owned()
}

/// Tries to start the binary, without a superuser's right to write read-only files; returns why it doesn't serve.
fn refusal(folder: &Path) -> String {
    let is_superuser = fs::metadata("/proc/self").expect("it is ours").uid() == 0;
    let mut command = binary(folder, toy_model());
    if is_superuser {
        let mut bound = Command::new("setpriv");
        bound
            .args(["--bounding-set=-dac_override,-dac_read_search", "--"])
            .arg(command.get_program());
        set_up(&mut bound, folder, toy_model());
        command = bound;
    }
    command.env("RUST_LOG", "off").stderr(Stdio::piped());
    Sidecar::serving(command).err().expect("it doesn't serve")
}

#[tokio::test(flavor = "multi_thread")]
async fn read_only_files_are_named_at_the_start() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    write_brief_agent(folder.path());
    let first = Sidecar::start(folder.path(), toy_model(), &[]);
    let mut socket = open(&first).await;
    ask(&mut socket, "c", "t").await;
    socket.until("done").await;
    let second = refusal(folder.path());
    assert!(second.contains("another sidecar uses the data folder"), "{second}");
    first.terminate();
    assert!(first.wait().success());

    let data = folder.path().join("data");
    for (path, mode, expected) in [
        (
            data.join("conversations.sqlite3"),
            0o444,
            "attempt to write a readonly database",
        ),
        (data.join("sidecar.lock"), 0o444, "cannot lock"),
    ] {
        let usual = fs::metadata(&path).expect("it is there").permissions();
        fs::set_permissions(&path, Permissions::from_mode(mode)).expect("it is ours");
        let why = refusal(folder.path());
        fs::set_permissions(&path, usual).expect("it is ours");
        assert!(
            why.contains(expected) && why.lines().count() == 1,
            "{}: {why}",
            path.display()
        );
    }
    // The folder itself, before anything was created in it.
    fs::remove_file(data.join("sidecar.lock")).expect("nobody holds it");
    fs::set_permissions(&data, Permissions::from_mode(0o555)).expect("it is ours");
    let why = refusal(folder.path());
    fs::set_permissions(&data, Permissions::from_mode(0o755)).expect("it is ours");
    assert!(why.contains("cannot lock"), "{why}");
    let again = Sidecar::start(folder.path(), toy_model(), &[]);
    assert_eq!(
        send(&again, "GET", "/conversations/c", "").await.json()["lastSeq"]
            .as_u64()
            .map(|seq| seq > 3),
        Some(true)
    );
}
