//! A socket that says what it hears to the ledger, and notices when a number is left out.

use std::collections::HashMap;

use serde_json::{Value, json};
use tokio::time::{Duration, timeout};

use super::super::stage::Stage;
use crate::client::{Heard, Socket};

/// Codes with which a sidecar that stops closes a socket.
const STOPPING: [u16; 2] = [1001, 1013];

/// A socket, and where it is in each log.
pub struct Talk {
    stage: Stage,
    socket: Socket,
    cursors: HashMap<String, u64>,
}

/// What came of listening.
pub enum Next {
    Frame(Value),
    /// Nothing came for as long as was waited.
    Silence,
    /// The sidecar is gone.
    Gone,
}

impl Talk {
    pub async fn open(stage: &Stage) -> Option<Self> {
        Some(Self {
            stage: stage.clone(),
            socket: Socket::try_open(&stage.authority).await?,
            cursors: HashMap::new(),
        })
    }

    /// Says a frame; `None` when the sidecar is gone.
    pub async fn say(&mut self, frame: &Value) -> Option<()> {
        self.socket.try_say(frame).await.then_some(())
    }

    /// Reads a log on after a number.
    pub async fn resume(&mut self, conversation: &str, after: u64) -> Option<()> {
        self.cursors.insert(conversation.to_owned(), after);
        self.say(&json!({ "type": "resume", "conversationId": conversation, "after": after, "own": true }))
            .await
    }

    /// Loses the connection, without a word.
    pub fn vanish(self) {}

    /// Says goodbye, which stops what this socket began.
    pub async fn goodbye(self) {
        self.socket.goodbye().await;
    }

    /// The next frame, waited for so long.
    pub async fn next(&mut self, wait: Duration) -> Next {
        let Ok(heard) = timeout(wait, self.socket.next()).await else {
            return Next::Silence;
        };
        match heard {
            Heard::Frame(frame) => {
                self.stage.hear(&frame);
                self.check_number(&frame);
                Next::Frame(frame)
            }
            Heard::Closed(code, reason) => {
                self.stage.report.check(
                    "a sidecar that stops says 1001 or 1013",
                    STOPPING.contains(&code),
                    || format!("{code} {reason}"),
                );
                Next::Gone
            }
            Heard::Lost => Next::Gone,
        }
    }

    /// Numbers may come again, where a turn was asked for once more; none may be left out.
    fn check_number(&mut self, frame: &Value) {
        let (Some(seq), Some(conversation)) = (frame["seq"].as_u64(), frame["conversationId"].as_str()) else {
            return;
        };
        let first = frame["firstSeq"].as_u64().unwrap_or(seq);
        if let Some(last) = self.cursors.insert(conversation.to_owned(), seq) {
            self.stage
                .report
                .check("no reader is left out of a number", first <= last + 1, || {
                    format!("{conversation}: {frame} after {last}")
                });
        }
    }
}
