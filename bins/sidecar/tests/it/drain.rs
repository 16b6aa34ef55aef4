//! A stop that lets running turns end.

use std::time::Duration;

use engine::ScriptedEngine;
use serde_json::json;

use crate::client::{HttpRequest, TestApp, kinds, text};

/// Starts an app with one turn that is held before its first token; returns the socket that owns it, too.
async fn with_a_held_turn() -> (TestApp, crate::client::Socket) {
    let app = TestApp::start(ScriptedEngine::default().held()).await;
    let mut owner = app.socket().await;
    owner.ask("busy", "t", "hi").await;
    owner.until("started").await;
    (app, owner)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_refuses_what_is_new_and_lets_running_turns_end() {
    let (app, mut owner) = with_a_held_turn().await;
    let mut idle = app.socket().await;
    idle.send(json!({ "agentId": "planner", "conversationId": "quiet" }))
        .await;
    idle.until("ready").await;
    let mut silent = app.socket().await;

    app.running().refuse_turns();
    assert_eq!((idle.close_code().await, silent.close_code().await), (1001, 1001));
    let ready = app.get("/readyz").await;
    assert_eq!((ready.status, ready.json()["code"].clone()), (503, json!("draining")));
    assert_eq!(app.get("/healthz").await.status, 200);
    assert_eq!(app.get("/conversations/busy/events").await.status, 200);
    let refused = app.http(HttpRequest {
        method: "POST",
        path: "/narrator/messages",
        headers: &[("content-type", "application/json")],
        body: r#"{"workspaceId":"w","message":"hi"}"#,
    });
    assert_eq!(refused.await.status, 503);

    for frame in [
        json!({ "agentId": "planner" }),
        json!({ "agentId": "planner", "message": "hi" }),
        json!({ "agentId": "planner", "conversationId": "busy", "message": "one more" }),
    ] {
        let mut late = app.socket().await;
        late.send(frame).await;
        assert_eq!(late.recv().await["code"], "draining");
        assert_eq!(late.close_code().await, 1013);
    }
    owner.ask("busy", "t2", "one more").await;
    assert_eq!(owner.recv().await["code"], "draining", "the socket stays");

    // A reader that lost its socket reconnects for the end.
    let mut reader = app.socket().await;
    reader
        .send(json!({ "type": "resume", "conversationId": "busy", "after": 0 }))
        .await;
    reader.until("started").await;
    app.engine.release(100);
    for socket in [&mut owner, &mut reader] {
        let frames = socket.until("done").await;
        assert_eq!(
            (kinds(&frames), text(&frames)),
            ("token done".to_owned(), "echo: hi".to_owned())
        );
        assert_eq!(socket.close_code().await, 1001);
    }
    // Once no turn runs, a log may still be read, to its end.
    let mut late = app.socket().await;
    late.send(json!({ "type": "resume", "conversationId": "busy", "after": 0 }))
        .await;
    assert_eq!(text(&late.until("done").await), "echo: hi");
    assert_eq!(late.close_code().await, 1001);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn turns_that_are_left_at_the_deadline_are_stored_as_interrupted() {
    let (app, mut owner) = with_a_held_turn().await;
    let draining = tokio::spawn(app.drain(Duration::from_millis(1)));
    let frames = owner.until("error").await;
    assert_eq!(frames.last().expect("an error")["code"], "interrupted");
    assert_eq!(owner.close_code().await, 1001);
    draining.await.expect("the app stops");
}

#[cfg(target_os = "linux")]
mod signals {
    use std::ffi::OsStr;
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};

    use serde_json::json;
    use tokio::net::TcpListener;

    use crate::client::Socket;
    use crate::process::{Sidecar, toy_model, write_brief_agent};

    fn next_notification(manager: &UnixDatagram) -> String {
        let mut words = [0; 64];
        let length = manager.recv(&mut words).expect("the socket is ours");
        String::from_utf8_lossy(&words[..length]).into_owned()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_signal_lets_the_running_turn_end_and_notifies_systemd() {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        write_brief_agent(folder.path());
        let path = folder.path().join("manager");
        let manager = UnixDatagram::bind(&path).expect("a socket can be bound");
        let sidecar = Sidecar::start(folder.path(), toy_model(), &[("NOTIFY_SOCKET", path.as_os_str())]);
        assert_eq!(next_notification(&manager), "READY=1");

        let mut idle = open(&sidecar).await;
        idle.send(json!({ "agentId": "brief" })).await;
        idle.until("ready").await;
        let mut owner = open(&sidecar).await;
        owner
            .send(json!({ "agentId": "brief", "message": "Tell me a story.", "options": { "temperature": 0, "maxNewTokens": 2000 } }))
            .await;
        owner.until("started").await;

        sidecar.terminate();
        assert_eq!(next_notification(&manager), "STOPPING=1");
        assert_eq!(idle.close_code().await, 1001);
        let frames = owner.until("done").await;
        assert_ne!(frames.last().expect("a done")["finishReason"], "cancelled");
        assert_eq!(owner.close_code().await, 1001);
        assert!(sidecar.wait().success());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_second_signal_ends_it_at_once() {
        // A model server that accepts a request and never answers.
        let server = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let url = format!("http://{}", server.local_addr().expect("it is bound"));
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        write_brief_agent(folder.path());
        let name = folder.path().join("second").display().to_string();
        let address = SocketAddr::from_abstract_name(&name).expect("a name is valid");
        let manager = UnixDatagram::bind_addr(&address).expect("a socket can be bound");
        let environment = [
            ("NOTIFY_SOCKET", OsStr::new(&format!("@{name}")).to_owned()),
            ("STREAMING_LLM_OLLAMA_URL", OsStr::new(&url).to_owned()),
            ("STREAMING_LLM_DRAIN_SECONDS", OsStr::new("3600").to_owned()),
        ];
        let environment = environment.each_ref().map(|(name, value)| (*name, value.as_os_str()));
        let sidecar = Sidecar::start(folder.path(), "ollama:silent", &environment);
        assert_eq!(next_notification(&manager), "READY=1");
        let mut owner = open(&sidecar).await;
        owner.send(json!({ "agentId": "brief", "message": "hi" })).await;
        let _question = server.accept().await.expect("the model server is asked");

        sidecar.terminate();
        assert_eq!(next_notification(&manager), "STOPPING=1");
        sidecar.terminate();
        assert_eq!(sidecar.wait().code(), Some(1));
    }

    async fn open(sidecar: &Sidecar) -> Socket {
        Socket::open(&sidecar.authority, &[])
            .await
            .expect("the handshake succeeds")
    }
}
