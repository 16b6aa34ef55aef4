//! The clients of a round: each acts at its own pace until the sidecar is gone or it has done its steps.

mod agent_editor;
mod chat_client;
mod controller;
mod exporter;
mod recorded_socket;
mod sse_reader;
mod stalled;

use tokio::task::JoinSet;

use super::harness::{Progress, SoakHarness};
use super::random::Random;

/// Chat clients of the local model; each has a conversation of its own, so that one of them can be read to its end.
const LOCAL_CHATS: u64 = 4;

/// Chat clients of the model server.
const REMOTE_CHATS: u64 = 2;

/// Rounds that share their conversations: enough for trees and long logs, few enough to be read again each time.
const ROUNDS_PER_CONVERSATION: u64 = 8;

/// All clients but the stalled one, which only waits for the others.
const BUSY_CLIENTS: usize = (LOCAL_CHATS + REMOTE_CHATS) as usize + 4;

/// Returns true once no more progress comes from the clients.
pub fn all_done(progress: &Progress) -> bool {
    progress.clients_done >= BUSY_CLIENTS
}

/// Returns the prefix of the ids of a round's conversations.
pub fn conversations(round: u64) -> String {
    format!("talk-{}-", round / ROUNDS_PER_CONVERSATION)
}

/// Starts all clients of a round; `steps` is how much each has to do.
pub fn start(harness: &SoakHarness, random: &Random, steps: u64) -> JoinSet<()> {
    let mut clients = JoinSet::new();
    for number in 0..LOCAL_CHATS + REMOTE_CHATS {
        // An answer that never ends takes its time, so these start fewer turns.
        let (agent, steps) = if number < LOCAL_CHATS {
            ("brief", steps)
        } else {
            ("far", steps.div_ceil(2))
        };
        let client = chat_client::ChatClient::new(harness.clone(), random.part(number), number, agent);
        clients.spawn(client.run(steps));
    }
    clients.spawn(exporter::run(harness.clone(), random.part(100), steps));
    clients.spawn(agent_editor::run(harness.clone(), random.part(101), steps));
    clients.spawn(controller::run(harness.clone(), random.part(103), steps));
    clients.spawn(sse_reader::run(harness.clone(), random.part(104), steps));
    clients.spawn(stalled::run(harness.clone(), random.part(102)));
    clients
}
