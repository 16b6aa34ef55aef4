//! Readers that do not read: sockets that ask for much and take nothing, and connections that say half of what they have to.

use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::super::random::Random;
use super::super::stage::{Heard, Stage};
use crate::client::Socket;

/// Holds some of each until enough was heard by the others, or nothing more comes of them.
pub async fn play(stage: Stage, mut random: Random) {
    let mut stuck = Vec::new();
    let mut half_open = Vec::new();
    for number in 0..2 {
        let Some(mut socket) = Socket::try_open(&stage.authority).await else {
            return;
        };
        let (turn, conversation) = (
            format!("{}-{number}", stage.round),
            format!("{}lurker-{number}", super::conversations(stage.round)),
        );
        let options = json!({ "maxNewTokens": 40 + random.below(80) });
        let message = json!({
            "agentId": "brief", "conversationId": conversation, "turnId": turn, "message": "On and on.", "options": options,
        });
        socket.try_say(&message).await;
        stage.report.did("turns of sockets that never read");
        stage.ledger.change(&conversation, |_| {});
        stuck.push(socket);
    }
    for piece in ["GET /ws/ch", "GET /agents HTTP/1.1\r\nhost: loc"] {
        if let Ok(mut stream) = TcpStream::connect(&stage.authority).await {
            // A sidecar that is gone takes nothing.
            let _gone = stream.write_all(piece.as_bytes()).await;
            stage.report.did("connections left half open");
            half_open.push(stream);
        }
    }
    let mut heard = stage.heard.subscribe();
    let enough = 100 + random.below(400);
    let is_over = |heard: &Heard| heard.frames >= enough || super::have_played(heard);
    let _stage_is_ours = heard.wait_for(is_over).await;
}
