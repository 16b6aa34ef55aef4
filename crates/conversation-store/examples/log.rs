//! Streams an answer into a conversation's log, then reads it back.
//!
//! `cargo run -p streaming-llm-conversation-store --example log`

use std::{env, error::Error, fs, process};

use streaming_llm_conversation_store::{
    AnswerDelta, AppendEvents, ConversationStore, EndTurn, NewEvent, NewTurn, Parent, StartedFacts, TurnState,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = env::temp_dir().join(format!("log-example-{}", process::id()));
    let store = ConversationStore::open(&folder)?;
    let question = NewTurn {
        conversation: "demo".into(),
        turn_id: "t1".into(),
        parent: Parent::Head,
        user_text: "Hello?".into(),
        agent_id: "planner".into(),
        agent_hash: "1".into(),
        agent_json: "{}".into(),
        options_json: "{}".into(),
        seed: 7,
        body_hash: "2".into(),
        event: NewEvent::new("user", 0, r#"{"text":"Hello?"}"#),
    };
    let turn = store.begin_turn(question).await?.key;
    let event = |kind: &str, json: &str| vec![NewEvent::new(kind, 1, json)];
    let facts = StartedFacts {
        model: "demo".into(),
        prompt_tokens: 5,
        epoch: None,
    };
    let append = AppendEvents::new("demo", turn, event("started", "{}"));
    store.append(append.with_start(facts)).await?;
    let mut receipts = Vec::new();
    for (id, text) in (0..).zip(["Hel", "lo", "!"]) {
        let (token, ids) = (text.to_owned(), vec![id]);
        let append = AppendEvents::new("demo", turn, event("token", &format!(r#"{{"token":"{text}"}}"#)));
        // Queued in order; their commits are waited for together.
        receipts.push(
            store
                .enqueue(append.with_answer(AnswerDelta { text: token, ids }))
                .await?,
        );
    }
    for receipt in receipts {
        receipt.await?;
    }
    let end = EndTurn::new("demo", turn, TurnState::Done, NewEvent::new("done", 2, "{}"));
    store.end_turn(end).await?;
    for event in store.events("demo", 0, 100).await? {
        println!("{} {} {}", event.seq, event.kind, event.json);
    }
    println!("{:?}", store.turn("demo", "t1").await?);
    drop(store);
    Ok(fs::remove_dir_all(folder)?)
}
