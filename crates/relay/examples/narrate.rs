//! Sends a message to a workspace's narrator, and prints the published events and the feed.
//!
//! `cargo run -p streaming-llm-relay --example narrate`

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;
use std::{env, fs, process};

use conversation_store::ConversationStore;
use protocol::NarratorMessage;
use streaming_llm_relay::{
    Clock, FakeAnswer, FakeRelay, FeedQuery, LeaseRequest, Leases, Narrator, NarratorSettings, NarratorStores,
    RelayAnswer, WaitFor,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = env::temp_dir().join(format!("narrate-example-{}", process::id()));
    let store = ConversationStore::open(&folder)?;
    let answer = RelayAnswer::text("Two of three steps are done; the tests still run.");
    let relay = FakeRelay::new([FakeAnswer::Answer(answer, Duration::ZERO)]);
    let stores = NarratorStores {
        conversations: store.clone(),
        log_dir: folder.clone(),
        summary_dir: folder.join("summaries"),
    };
    let leases = Leases::new(Clock::system());
    let narrator = Narrator::open(Arc::new(relay), leases, stores, NarratorSettings::default())?;
    narrator.leases().register(LeaseRequest {
        agent_id: "controller".into(),
        ..LeaseRequest::default()
    })?;
    let message = NarratorMessage {
        workspace_id: Some("demo".into()),
        message: Some("How far are we?".into()),
        ..NarratorMessage::default()
    };
    let accepted = narrator.send(message, WaitFor::Answer).await?;
    for event in store.events(&accepted.conversation_id, 0, 10).await? {
        println!("{} {} {}", event.seq, event.kind, event.json);
    }
    let look = FeedQuery {
        workspace: "demo".into(),
        conversation: None,
        limit: 50,
    };
    println!("{:#?}", narrator.feed(look).await?);
    drop((narrator, store));
    Ok(fs::remove_dir_all(folder)?)
}
