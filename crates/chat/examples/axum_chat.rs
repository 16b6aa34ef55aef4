//! Agents, conversations and a durable log inside an axum service, on an engine of the host's own.
//!
//! `POST /chat/{id}` starts a turn, `GET /chat/{id}` reads the log. The example asks itself once and ends.

use std::sync::Arc;

use agent_store::AgentStore;
use axum::extract::{Path, State};
use axum::{Json, Router, http::StatusCode, routing::post};
use conversation_store::ConversationStore;
use engine::ScriptedEngine;
use streaming_llm_chat::{Chat, ChatSettings, TurnCommand, logged_frame};

#[derive(Clone)]
struct Host {
    chat: Chat,
    store: ConversationStore,
}

type Answer<T> = Result<T, (StatusCode, String)>;

async fn ask(State(host): State<Host>, Path(id): Path<String>, message: String) -> Answer<String> {
    let command = TurnCommand {
        agent_id: "planner".to_owned(),
        conversation_id: Some(id),
        message,
        ..TurnCommand::default()
    };
    let turn = host.chat.start_turn(command).await;
    let turn = turn.map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))?;
    Ok(turn.turn_id)
}

async fn read(State(host): State<Host>, Path(id): Path<String>) -> Answer<Json<Vec<String>>> {
    let events = host.store.events(&id, 0, 1_000).await;
    let events = events.map_err(|error| (StatusCode::NOT_FOUND, error.to_string()))?;
    Ok(Json(events.iter().map(|event| logged_frame(&id, event)).collect()))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let agents = AgentStore::open(folder.path())?;
    let store = ConversationStore::open(&folder.path().join("data"))?;
    // Any `impl Engine`: a model of your own, a queue in front of one, a script for tests.
    let engine = Arc::new(ScriptedEngine::default());
    let chat = Chat::new(agents, store.clone(), engine, ChatSettings::default());
    chat.recover().await?;
    let host = Host { chat, store };
    let routes = Router::new().route("/chat/{id}", post(ask).get(read));
    let _service: Router = routes.with_state(host.clone());

    // A real service: axum::serve(listener, service).with_graceful_shutdown(…), then chat.shutdown(grace).
    let turn = ask(State(host.clone()), Path("c".into()), "Hello there".into()).await;
    println!("turn {}", turn.map_err(|(_, why)| why)?);
    host.chat.shutdown(std::time::Duration::from_secs(5)).await;
    let Json(frames) = read(State(host), Path("c".into())).await.map_err(|(_, why)| why)?;
    println!("{}", frames.join("\n"));
    Ok(())
}
