//! One turn on an engine that echoes: start it, then read its conversation's log until it ends.

use std::sync::Arc;

use agent_store::AgentStore;
use conversation_store::ConversationStore;
use engine::ScriptedEngine;
use streaming_llm_chat::{Chat, ChatSettings, TurnCommand, logged_frame};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let agents = AgentStore::open(&folder.path().join("agents"))?;
    let store = ConversationStore::open(&folder.path().join("data"))?;
    let engine = Arc::new(ScriptedEngine::default());
    let chat = Chat::new(agents, store.clone(), engine, ChatSettings::default());
    chat.recover().await?;

    let agent_id = "planner".to_owned();
    let message = "What comes first?".to_owned();
    let turn = chat
        .start_turn(TurnCommand {
            agent_id,
            message,
            ..TurnCommand::default()
        })
        .await?;

    let mut tail = store.tail(&turn.conversation_id);
    let mut seen = turn.first_seq - 1;
    loop {
        for event in store.events(&turn.conversation_id, seen, 100).await? {
            println!("{}", logged_frame(&turn.conversation_id, &event));
            seen = event.seq;
            if matches!(event.kind.as_str(), "done" | "error") {
                return Ok(());
            }
        }
        tail.changed().await?;
    }
}
