//! A socket that records what it receives, and reports a number that is left out.

use std::collections::HashMap;

use serde_json::{Value, json};
use tokio::time::{Duration, timeout};

use super::super::harness::SoakHarness;
use crate::client::{Received, Socket};

/// Codes with which a sidecar that stops closes a socket.
const STOPPING: [u16; 2] = [1001, 1013];

/// A socket, and the last `seq` that it received of each conversation.
pub struct RecordedSocket {
    harness: SoakHarness,
    socket: Socket,
    cursors: HashMap<String, u64>,
}

/// The result of waiting for a frame.
pub enum Incoming {
    Frame(Value),
    /// Nothing came in time.
    Timeout,
    /// The sidecar is gone.
    Gone,
}

impl RecordedSocket {
    pub async fn open(harness: &SoakHarness) -> Option<Self> {
        Some(Self {
            harness: harness.clone(),
            socket: Socket::try_open(&harness.authority).await?,
            cursors: HashMap::new(),
        })
    }

    /// Sends a frame; returns `None` if the sidecar is gone.
    pub async fn send(&mut self, frame: &Value) -> Option<()> {
        self.socket.try_send(frame).await.then_some(())
    }

    /// Reads a log from after a number on, and owns its turns.
    pub async fn resume(&mut self, conversation: &str, after: u64) -> Option<()> {
        self.cursors.insert(conversation.to_owned(), after);
        self.send(&json!({ "type": "resume", "conversationId": conversation, "after": after, "own": true }))
            .await
    }

    /// Loses the connection, without a close frame.
    pub fn drop_connection(self) {}

    /// Closes with 1000, which cancels what this socket started.
    pub async fn close_normally(self) {
        self.socket.close_normally().await;
    }

    /// Waits this long for the next frame.
    pub async fn next(&mut self, wait: Duration) -> Incoming {
        let Ok(received) = timeout(wait, self.socket.next()).await else {
            return Incoming::Timeout;
        };
        match received {
            Received::Frame(frame) => {
                self.harness.record(&frame);
                self.check_number(&frame);
                Incoming::Frame(frame)
            }
            Received::Closed(code, reason) => {
                self.harness.report.check(
                    "a sidecar that stops closes with 1001 or 1013",
                    STOPPING.contains(&code),
                    || format!("{code} {reason}"),
                );
                Incoming::Gone
            }
            Received::Lost => Incoming::Gone,
        }
    }

    /// Checks that no number is left out; numbers may repeat, where a turn was sent again.
    fn check_number(&mut self, frame: &Value) {
        let (Some(seq), Some(conversation)) = (frame["seq"].as_u64(), frame["conversationId"].as_str()) else {
            return;
        };
        let first = frame["firstSeq"].as_u64().unwrap_or(seq);
        if let Some(last) = self.cursors.insert(conversation.to_owned(), seq) {
            self.harness
                .report
                .check("no reader misses a number", first <= last + 1, || {
                    format!("{conversation}: {frame} after {last}")
                });
        }
    }
}
