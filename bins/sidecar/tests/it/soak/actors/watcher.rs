//! Reads logs as server-sent events, leaves in their midst, and comes back for the rest.

use std::time::Duration;

use tokio::time::timeout;

use super::super::random::Random;
use super::super::stage::Stage;
use crate::event_stream::Stream;

/// Without an event for so long, a log has no more for now.
const SILENCE: Duration = Duration::from_millis(300);

/// Watches one conversation after the other.
pub async fn play(stage: Stage, mut random: Random, steps: u64) {
    for _ in 0..steps {
        let conversations = stage.ledger.conversations();
        let talks: Vec<_> = conversations.iter().filter(|id| id.starts_with("talk")).collect();
        if talks.is_empty() {
            // Nobody has said anything yet.
            tokio::task::yield_now().await;
            continue;
        }
        let talk = talks[random.below(talks.len() as u64) as usize];
        let most = 1 + random.below(60);
        if watch(&stage, talk, most).await.is_none() {
            return;
        }
    }
}

/// Reads some events after the last that anyone was told; `None` when the sidecar is gone.
async fn watch(stage: &Stage, conversation: &str, most: u64) -> Option<()> {
    let mut last = stage.ledger.last_seq(conversation);
    let path = format!("/conversations/{conversation}/events");
    let last_id = format!("last-event-id: {last}\r\n");
    stage.report.did("logs read as server-sent events");
    let (mut stream, head) = Stream::try_open(&stage.authority, &path, &last_id).await.ok()?;
    if !head.starts_with("HTTP/1.1 200") {
        // Not begun yet, or the sidecar is about to stop.
        return Some(());
    }
    for _ in 0..most {
        let Ok(read) = timeout(SILENCE, stream.try_next()).await else {
            return Some(());
        };
        let Some(event) = read.ok()? else { return Some(()) };
        stage.hear(&event.data);
        if let Some(id) = event.id {
            let first = event.data["firstSeq"].as_u64().unwrap_or(id);
            stage
                .report
                .check("no reader is left out of a number", first == last + 1, || {
                    format!("{conversation}: {} after {last}", event.data)
                });
            last = id;
        }
    }
    Some(())
}
