//! Measures a stop with many idle sockets, and a few whose turns run.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::task::JoinSet;

use super::report::Report;
use crate::client::Socket;
use crate::process::{Sidecar, toy_model, write_brief_agent};

/// Sockets that have sent a hello and nothing since.
const IDLE: usize = 100;

/// Sockets whose turn is running.
const BUSY: usize = 4;

/// Sends SIGTERM to a sidecar with such sockets, checks that all are closed with 1001 and that every turn ends first,
/// and reports how long that took.
pub async fn measure(report: &Arc<Report>) {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    write_brief_agent(folder.path());
    let sidecar = Sidecar::start(
        folder.path(),
        toy_model(),
        &[("STREAMING_LLM_DRAIN_SECONDS", "1".as_ref())],
    );
    let mut idle = Vec::new();
    for _ in 0..IDLE {
        let mut socket = Socket::open(&sidecar.authority, &[])
            .await
            .expect("the handshake succeeds");
        socket.send(json!({ "agentId": "brief" })).await;
        socket.until("ready").await;
        idle.push(socket);
    }
    let mut busy = Vec::new();
    for number in 0..BUSY {
        let mut socket = Socket::open(&sidecar.authority, &[])
            .await
            .expect("the handshake succeeds");
        let options = json!({ "maxNewTokens": 8_000 });
        let conversation = format!("busy-{number}");
        socket
            .send(json!({ "agentId": "brief", "conversationId": conversation, "message": "On.", "options": options }))
            .await;
        socket.until("token").await;
        busy.push(socket);
    }
    let signalled_at = Instant::now();
    sidecar.terminate();
    let waits = all_closed(idle, signalled_at, report).await;
    report.measured("SIGTERM: 100 idle sockets closed, the first after", ms(waits.first()));
    report.measured("SIGTERM: 100 idle sockets closed, the last after", ms(waits.last()));
    let waits = all_closed(busy, signalled_at, report).await;
    report.measured(
        "SIGTERM: 4 running turns stored and closed, the last after",
        ms(waits.last()),
    );
    let ended = sidecar.wait();
    report.check(
        "a sidecar that is terminated exits with success",
        ended.success(),
        || ended.to_string(),
    );
    report.measured("SIGTERM: the process ended after", ms(Some(&signalled_at.elapsed())));
}

/// Returns how long after the signal each socket was closed, sorted.
async fn all_closed(sockets: Vec<Socket>, signalled_at: Instant, report: &Arc<Report>) -> Vec<Duration> {
    let mut closing = JoinSet::new();
    for mut socket in sockets {
        closing.spawn(async move { (socket.close_code().await, signalled_at.elapsed()) });
    }
    let mut waits = Vec::new();
    while let Some(closed) = closing.join_next().await {
        let (code, after) = closed.expect("waiting doesn't panic");
        report.check("a sidecar that stops closes with 1001 or 1013", code == 1001, || {
            code.to_string()
        });
        waits.push(after);
    }
    waits.sort();
    waits
}

fn ms(after: Option<&Duration>) -> String {
    after.map_or_else(String::new, |after| format!("{} ms", after.as_millis()))
}
