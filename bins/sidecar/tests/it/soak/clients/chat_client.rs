//! Runs turns, and disturbs them in every way a client may: cancels, repeats, edits, regenerates, disconnects.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tokio::time::Duration;

use super::super::harness::{STUCK_TIMEOUT, SoakHarness};
use super::super::random::Random;
use super::recorded_socket::{Incoming, RecordedSocket};

/// How long a model server may be silent before its turn is cancelled: its answer may be one that never ends.
const SERVER_SILENCE: Duration = Duration::from_millis(250);

/// A client with a conversation of its own.
pub struct ChatClient {
    harness: SoakHarness,
    random: Random,
    conversation: String,
    agent: &'static str,
    prefix: String,
    turns: u64,
    /// The last `seq` that this client itself received: other readers of the log may be further.
    last_seq: u64,
    /// The last turn that was acknowledged.
    last: Option<String>,
    pending: PendingTurns,
}

/// Turns that have not ended yet.
#[derive(Debug, Default)]
struct PendingTurns {
    open: BTreeSet<String>,
    acknowledged: BTreeSet<String>,
    /// The turn that is regenerated, and the new one.
    regenerated: Option<(String, String)>,
}

impl ChatClient {
    pub fn new(harness: SoakHarness, random: Random, number: u64, agent: &'static str) -> Self {
        Self {
            conversation: format!("{}{number}", super::conversations(harness.round)),
            prefix: format!("{}-{number}", harness.round),
            harness,
            random,
            agent,
            turns: 0,
            last_seq: 0,
            last: None,
            pending: PendingTurns::default(),
        }
    }

    /// Runs until so many turns were started, or the sidecar is gone.
    pub async fn run(mut self, steps: u64) {
        let Some(mut socket) = RecordedSocket::open(&self.harness).await else {
            return;
        };
        self.last_seq = self.harness.observations.last_seq(&self.conversation);
        if self.last_seq > 0 && socket.resume(&self.conversation, self.last_seq).await.is_none() {
            return;
        }
        while self.turns < steps {
            match self.turn(socket).await {
                Some(next) => socket = next,
                None => return,
            }
        }
        socket.close_normally().await;
    }

    /// Runs one turn and disturbs it, until all turns that came of it have ended; `None` if the sidecar is gone.
    async fn turn(&mut self, mut socket: RecordedSocket) -> Option<RecordedSocket> {
        let message = self.message();
        socket.send(&message).await?;
        let turn = message["turnId"].as_str().unwrap_or_default().to_owned();
        self.harness.report.did("turns started");
        self.pending.open.insert(turn.clone());
        let (mut frames, disturb_at) = (0, 1 + self.random.below(30));
        let mut silences = 0;
        while !self.pending.open.is_empty() {
            let wait = if self.agent == "far" {
                SERVER_SILENCE
            } else {
                STUCK_TIMEOUT
            };
            match socket.next(wait).await {
                Incoming::Gone => return None,
                Incoming::Timeout => {
                    silences += 1;
                    self.check_silence(wait * silences)?;
                    // Each turn that is started meanwhile may meet an answer that never ends.
                    socket.send(&json!({ "type": "cancel" })).await?;
                }
                Incoming::Frame(frame) => {
                    frames += 1;
                    self.handle(&frame, &mut socket).await?;
                }
            }
            if frames == disturb_at && self.pending.acknowledged.contains(&turn) {
                frames += 1;
                socket = self.disturb(socket, &turn, &message).await?;
            }
        }
        self.last = self.pending.acknowledged.pop_last();
        self.pending = PendingTurns::default();
        Some(socket)
    }

    /// Reports a sidecar that sends nothing for that long, though turns have not ended: it is stuck.
    fn check_silence(&self, silence: Duration) -> Option<()> {
        let is_short = silence < STUCK_TIMEOUT;
        self.harness.report.check("a turn ends, or goes on", is_short, || {
            let (round, conversation) = (self.harness.round, &self.conversation);
            format!("round {round}, {conversation}: {:?} have no end", self.pending)
        });
        is_short.then_some(())
    }

    fn message(&mut self) -> Value {
        self.turns += 1;
        let words = if self.random.once_in(20) { 300 } else { 4 };
        let mut message = json!({
            "agentId": self.agent, "conversationId": self.conversation, "turnId": format!("{}-{}", self.prefix, self.turns),
            "message": "Tell me more. ".repeat(1 + self.random.below(words) as usize),
            "options": { "maxNewTokens": 1 + self.random.below(60) },
        });
        if self.agent == "far" {
            message["tools"] = json!([{ "name": "weather" }, { "name": "time" }]);
        }
        message
    }

    /// Disturbs a turn that runs.
    async fn disturb(&mut self, mut socket: RecordedSocket, turn: &str, message: &Value) -> Option<RecordedSocket> {
        match self.random.below(8) {
            0 => {
                self.harness.report.did("turns cancelled");
                socket
                    .send(&json!({ "type": "cancel", "turnId": turn, "conversationId": self.conversation }))
                    .await?;
            }
            1 => {
                self.harness.report.did("messages sent again");
                socket.send(message).await?;
            }
            2 => {
                self.harness.report.did("turns regenerated");
                let again = format!("{turn}-again");
                let regenerate = json!({ "type": "regenerate", "turnId": turn, "newTurnId": again, "conversationId": self.conversation });
                socket.send(&regenerate).await?;
                self.pending.open.insert(again.clone());
                self.pending.regenerated = Some((turn.to_owned(), again));
            }
            3 => {
                self.harness.report.did("messages edited");
                let mut edit = self.message();
                edit["editTurnId"] = json!(self.last.as_deref().unwrap_or(turn));
                socket.send(&edit).await?;
                self.wait_for(&edit);
            }
            4 => {
                self.harness.report.did("messages sent while one was answered");
                let next = self.message();
                socket.send(&next).await?;
                self.wait_for(&next);
            }
            5 => {
                self.harness.report.did("connections lost in an answer");
                socket.drop_connection();
                socket = self.reconnect().await?;
            }
            6 => {
                self.harness.report.did("normal closes in an answer");
                socket.close_normally().await;
                socket = self.reconnect().await?;
            }
            _ => {}
        }
        Some(socket)
    }

    fn wait_for(&mut self, message: &Value) {
        let turn = message["turnId"].as_str().unwrap_or_default();
        self.pending.open.insert(turn.to_owned());
    }

    async fn reconnect(&mut self) -> Option<RecordedSocket> {
        let mut socket = RecordedSocket::open(&self.harness).await?;
        socket.resume(&self.conversation, self.last_seq).await?;
        Some(socket)
    }

    /// Handles a frame: which turn was acknowledged, has ended or was refused, and which tool is called.
    async fn handle(&mut self, frame: &Value, socket: &mut RecordedSocket) -> Option<()> {
        let turn = frame["turnId"].as_str().unwrap_or_default().to_owned();
        self.last_seq = frame["seq"].as_u64().unwrap_or(self.last_seq);
        match frame["type"].as_str().unwrap_or_default() {
            "user" => {
                self.pending.acknowledged.insert(turn);
            }
            "tool" if self.random.once_in(2) => {
                self.harness.report.did("tools answered");
                let output = json!({
                    "type": "tool-output", "turnId": turn, "conversationId": self.conversation, "callId": frame["callId"], "output": 21,
                });
                socket.send(&output).await?;
            }
            "done" | "error" if frame["seq"].is_u64() => {
                self.pending.open.remove(&turn);
            }
            "error" => self.refused(frame, &turn),
            _ => {}
        }
        Some(())
    }

    /// Handles an error that isn't logged: a frame was refused, or a turn's end can't be stored yet.
    fn refused(&mut self, error: &Value, turn: &str) {
        let message = error["message"].as_str().unwrap_or_default();
        if message.contains("can't be stored yet") {
            self.harness
                .report
                .did("owners notified that an end can't be stored yet");
            return;
        }
        self.harness.report.did("frames refused with a code");
        if let Some((_, again)) = self.pending.regenerated.take_if(|(base, _)| base == turn) {
            self.pending.open.remove(&again);
            return;
        }
        if !self.pending.acknowledged.contains(turn) && self.pending.open.remove(turn) {
            self.harness.observations.refused(&self.conversation, turn);
        }
    }
}
