//! Clients that don't read: sockets that ask for much and read nothing, and connections that send half a request.

use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::super::harness::{Progress, SoakHarness};
use super::super::random::Random;
use crate::client::Socket;

/// Holds some of each until the other clients have received enough, or are done.
pub async fn run(harness: SoakHarness, mut random: Random) {
    let mut stuck = Vec::new();
    let mut half_open = Vec::new();
    for number in 0..2 {
        let Some(mut socket) = Socket::try_open(&harness.authority).await else {
            return;
        };
        let (turn, conversation) = (
            format!("{}-{number}", harness.round),
            format!("{}lurker-{number}", super::conversations(harness.round)),
        );
        let options = json!({ "maxNewTokens": 40 + random.below(80) });
        let message = json!({
            "agentId": "brief", "conversationId": conversation, "turnId": turn, "message": "On and on.", "options": options,
        });
        socket.try_send(&message).await;
        harness.report.did("turns of sockets that never read");
        harness.observations.change(&conversation, |_| {});
        stuck.push(socket);
    }
    for piece in ["GET /ws/ch", "GET /agents HTTP/1.1\r\nhost: loc"] {
        if let Ok(mut stream) = TcpStream::connect(&harness.authority).await {
            // A sidecar that is gone takes nothing.
            let _gone = stream.write_all(piece.as_bytes()).await;
            harness.report.did("connections left half open");
            half_open.push(stream);
        }
    }
    let mut progress = harness.progress.subscribe();
    let enough = 100 + random.below(400);
    let is_over = |progress: &Progress| progress.frames >= enough || super::all_done(progress);
    let _sender_is_alive = progress.wait_for(is_over).await;
}
