//! A stop with many sockets that wait for nothing, and a few whose turns run.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::task::JoinSet;

use super::report::Report;
use crate::client::Socket;
use crate::process::{Sidecar, toy_model, write_brief_agent};

/// Sockets that have said hello, and nothing since.
const IDLE: usize = 100;

/// Sockets that are being answered.
const BUSY: usize = 4;

/// Tells a sidecar with such sockets to stop: all are closed with 1001, and every turn ends first. How long that took is shown.
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
        socket.say(json!({ "agentId": "brief" })).await;
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
            .say(json!({ "agentId": "brief", "conversationId": conversation, "message": "On.", "options": options }))
            .await;
        socket.until("token").await;
        busy.push(socket);
    }
    let told = Instant::now();
    sidecar.terminate();
    let waits = all_closed(idle, told, report).await;
    report.measured("SIGTERM: 100 idle sockets closed, the first after", ms(waits.first()));
    report.measured("SIGTERM: 100 idle sockets closed, the last after", ms(waits.last()));
    let waits = all_closed(busy, told, report).await;
    report.measured(
        "SIGTERM: 4 running turns stored and closed, the last after",
        ms(waits.last()),
    );
    let ended = sidecar.ended();
    report.check("a sidecar that is told to stop ends well", ended.success(), || {
        ended.to_string()
    });
    report.measured("SIGTERM: the process ended after", ms(Some(&told.elapsed())));
}

/// When each was closed, in order.
async fn all_closed(sockets: Vec<Socket>, told: Instant, report: &Arc<Report>) -> Vec<Duration> {
    let mut closing = JoinSet::new();
    for mut socket in sockets {
        closing.spawn(async move { (socket.closed().await, told.elapsed()) });
    }
    let mut waits = Vec::new();
    while let Some(closed) = closing.join_next().await {
        let (code, after) = closed.expect("waiting doesn't panic");
        report.check("a sidecar that stops says 1001 or 1013", code == 1001, || {
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
