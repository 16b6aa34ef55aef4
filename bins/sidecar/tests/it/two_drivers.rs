//! A local model and a model server at the same time, on one socket.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use streaming_llm_sidecar::{App, Engines, Settings};
use upstream::testing::PythonServer;

use crate::client::{HttpRequest, Socket, http, no_gap, settings, text};
use crate::real_model::model;

/// The model of `ollama_wire_server.py`.
const REMOTE: &str = "ollama:local/smollm2:135m";

fn settings_with_both(folder: &Path, ollama: &PythonServer) -> Settings {
    let mut settings = settings(folder);
    settings.model = model().to_string_lossy().into_owned();
    settings.models = vec![REMOTE.to_owned()];
    settings.ollama_url = ollama.url();
    fs::create_dir(folder.join("agents")).expect("the folder is new");
    for (agent, model) in [("near", "smollm2-135m-instruct"), ("far", REMOTE)] {
        let file = format!("---\nname: {agent}\nsystem_prompt: You are brief.\nmodel: {model}\n---\n");
        fs::write(folder.join(format!("agents/{agent}.md")), file).expect("an agent's file can be written");
    }
    settings
}

/// Asks an agent in a conversation of its own, whose name is also the turn's; returns that name.
async fn ask(socket: &mut Socket, agent: &str, max_new_tokens: u32) -> String {
    let turn = format!("{agent}-{max_new_tokens}");
    let options = json!({ "temperature": 0, "maxNewTokens": max_new_tokens });
    let message = "Tell me a long story about a river.";
    socket
        .send(
            json!({ "agentId": agent, "conversationId": turn, "turnId": turn, "message": message, "options": options }),
        )
        .await;
    turn
}

/// Receives frames until the first of a type of this turn.
async fn until(socket: &mut Socket, turn: &str, kind: &str) -> Vec<Value> {
    let mut frames: Vec<Value> = Vec::new();
    loop {
        let frame = socket.recv().await;
        assert_ne!(frame["type"], "error", "{frame}");
        let is_last = frame["type"] == kind && frame["turnId"] == turn;
        frames.push(frame);
        if is_last {
            return frames;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn real_model_and_model_server_answer_on_one_socket_at_the_same_time() {
    let llama_cpp = PythonServer::llama_cpp(0);
    let ollama = PythonServer::ollama_wire(&llama_cpp, 0);
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let settings = settings_with_both(folder.path(), &ollama);
    let engines = Engines::open(&settings).expect("the model is there");
    let running = App::start(settings, engines).await.expect("the app starts");
    let authority = running.addrs[0].to_string();

    let mut socket = Socket::open(&authority, &[]).await.expect("the handshake succeeds");
    for (long, short) in [("far", "near"), ("near", "far")] {
        // However slow a machine makes one of the two, the other isn't done with so many before.
        let long = ask(&mut socket, long, 4_000).await;
        let mut frames = until(&mut socket, &long, "token").await;
        let short = ask(&mut socket, short, 24).await;
        frames.extend(until(&mut socket, &short, "done").await);
        let of = |turn: &str| -> Vec<Value> {
            let own = frames.iter().filter(|frame| frame["conversationId"] == turn);
            own.cloned().collect()
        };
        no_gap(0, &of(&short));
        assert!(text(&of(&short)).len() > 20, "{short} says something");
        no_gap(0, &of(&long));
        let has_ended = of(&long).iter().any(|frame| frame["type"] == "done");
        assert!(!has_ended, "{short} doesn't wait for {long}: {:?}", text(&of(&long)));
        socket
            .send(json!({ "type": "cancel", "conversationId": long, "turnId": long }))
            .await;
        until(&mut socket, &long, "done").await;
    }

    let path = "/models";
    let listed = http(
        &authority,
        HttpRequest {
            path,
            ..HttpRequest::default()
        },
    )
    .await
    .json();
    let available = |model: &Value| (model["model"].clone(), model["available"].clone());
    let models: Vec<_> = listed["models"]
        .as_array()
        .expect("a list")
        .iter()
        .map(available)
        .collect();
    assert!(
        models.contains(&(json!("smollm2-135m-instruct"), json!(true))),
        "{listed}"
    );
    assert!(models.contains(&(json!(REMOTE), json!(true))), "{listed}");
    running.stop().await.expect("the app stops");
}

#[tokio::test(flavor = "multi_thread")]
async fn real_model_answers_for_the_narrator_of_a_fresh_install() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let mut settings = settings(folder.path());
    settings.model = model().to_string_lossy().into_owned();
    settings.max_new_tokens = 24;
    let engines = Engines::open(&settings).expect("the model is there");
    let running = App::start(settings, engines).await.expect("the app starts");
    let authority = running.addrs[0].to_string();
    let request = HttpRequest {
        method: "POST",
        path: "/narrator/messages",
        headers: &[("content-type", "application/json")],
        body: r#"{"workspaceId":"demo","message":"What is going on?"}"#,
    };
    let accepted = http(&authority, request).await;
    assert_eq!(accepted.status, 202, "{}", accepted.body);
    let path = "/narrator/feed?workspaceId=demo";
    let feed = http(
        &authority,
        HttpRequest {
            path,
            ..HttpRequest::default()
        },
    )
    .await
    .json();
    assert_eq!(feed["events"][0]["type"], "narration", "{feed}");
    assert_eq!(feed["events"][0]["source"], "narrator", "{feed}");
    running.stop().await.expect("the app stops");
}
