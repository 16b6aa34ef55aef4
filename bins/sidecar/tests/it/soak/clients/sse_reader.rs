//! Reads logs as server-sent events, disconnects in the middle, and comes back for the rest.

use std::time::Duration;

use tokio::time::timeout;

use super::super::harness::SoakHarness;
use super::super::random::Random;
use crate::event_stream::EventStream;

/// A log without an event for this long has no more for now.
const SILENCE: Duration = Duration::from_millis(300);

/// Reads one conversation after the other.
pub async fn run(harness: SoakHarness, mut random: Random, steps: u64) {
    for _ in 0..steps {
        let conversations = harness.observations.conversations();
        let talks: Vec<_> = conversations.iter().filter(|id| id.starts_with("talk")).collect();
        if talks.is_empty() {
            // No chat client has received anything yet.
            tokio::task::yield_now().await;
            continue;
        }
        let talk = talks[random.below(talks.len() as u64) as usize];
        let most = 1 + random.below(60);
        if read(&harness, talk, most).await.is_none() {
            return;
        }
    }
}

/// Reads some events after the last that any client received; returns `None` if the sidecar is gone.
async fn read(harness: &SoakHarness, conversation: &str, most: u64) -> Option<()> {
    let mut last = harness.observations.last_seq(conversation);
    let path = format!("/conversations/{conversation}/events");
    let last_id = format!("last-event-id: {last}\r\n");
    harness.report.did("logs read as server-sent events");
    let (mut stream, head) = EventStream::try_open(&harness.authority, &path, &last_id).await.ok()?;
    if !head.starts_with("HTTP/1.1 200") {
        // The conversation doesn't exist yet, or the sidecar is about to stop.
        return Some(());
    }
    for _ in 0..most {
        let Ok(read) = timeout(SILENCE, stream.try_next()).await else {
            return Some(());
        };
        let Some(event) = read.ok()? else { return Some(()) };
        harness.record(&event.data);
        if let Some(id) = event.id {
            let first = event.data["firstSeq"].as_u64().unwrap_or(id);
            harness
                .report
                .check("no reader misses a number", first == last + 1, || {
                    format!("{conversation}: {} after {last}", event.data)
                });
            last = id;
        }
    }
    Some(())
}
