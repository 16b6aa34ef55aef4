//! A local model and a model server at once, behind one socket.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use streaming_llm_sidecar::{App, Engines, Settings};
use upstream::testing::PythonServer;

use crate::client::{Http, Socket, http, no_gap, settings, text};
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

/// Frames until so many turns have ended.
async fn until_done(socket: &mut Socket, turns: usize) -> Vec<Value> {
    let mut frames: Vec<Value> = Vec::new();
    while frames.iter().filter(|frame| frame["type"] == "done").count() < turns {
        let frame = socket.hear().await;
        assert_ne!(frame["type"], "error", "{frame}");
        frames.push(frame);
    }
    frames
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
    for agent in ["near", "far"] {
        let options = json!({ "temperature": 0, "maxNewTokens": 64 });
        let message = "Tell me a long story about a river.";
        socket
            .say(json!({ "agentId": agent, "conversationId": agent, "message": message, "options": options }))
            .await;
    }
    let frames = until_done(&mut socket, 2).await;
    for agent in ["near", "far"] {
        let own: Vec<Value> = frames
            .iter()
            .filter(|frame| frame["conversationId"] == agent)
            .cloned()
            .collect();
        no_gap(0, &own);
        assert!(text(&own).len() > 20, "{agent} says something: {:?}", text(&own));
    }
    let tokens = frames.iter().filter(|frame| frame["type"] == "token");
    let mut speakers: Vec<&Value> = tokens.map(|frame| &frame["conversationId"]).collect();
    speakers.dedup();
    assert!(speakers.len() > 3, "neither waits for the other: {speakers:?}");

    let path = "/models";
    let listed = http(
        &authority,
        Http {
            path,
            ..Http::default()
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
    let told = Http {
        method: "POST",
        path: "/narrator/messages",
        headers: &[("content-type", "application/json")],
        body: r#"{"workspaceId":"demo","message":"What is going on?"}"#,
    };
    let accepted = http(&authority, told).await;
    assert_eq!(accepted.status, 202, "{}", accepted.body);
    let path = "/narrator/feed?workspaceId=demo";
    let feed = http(
        &authority,
        Http {
            path,
            ..Http::default()
        },
    )
    .await
    .json();
    assert_eq!(feed["events"][0]["type"], "narration", "{feed}");
    assert_eq!(feed["events"][0]["source"], "narrator", "{feed}");
    running.stop().await.expect("the app stops");
}
