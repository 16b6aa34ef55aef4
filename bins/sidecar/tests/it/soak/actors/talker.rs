//! Has turns answered, and does to them whatever a client may do: stops, repeats, edits, answers once more, goes away.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tokio::time::Duration;

use super::super::random::Random;
use super::super::stage::{PATIENCE, Stage};
use super::talk::{Next, Talk};

/// How long a model server may be silent before its turn is given up: it may well be one that never ends.
const SERVER_SILENCE: Duration = Duration::from_millis(250);

/// A talker and its conversation.
pub struct Talker {
    stage: Stage,
    random: Random,
    conversation: String,
    agent: &'static str,
    prefix: String,
    turns: u64,
    /// The last number that it was told itself: others read the log too, and may be further on.
    heard: u64,
    /// The last turn that was acknowledged.
    last: Option<String>,
    waiting: Waiting,
}

/// Turns that have no end yet.
#[derive(Debug, Default)]
struct Waiting {
    turns: BTreeSet<String>,
    acknowledged: BTreeSet<String>,
    /// The turn that is to be answered once more, and the one that this makes.
    regenerated: Option<(String, String)>,
}

impl Talker {
    pub fn new(stage: Stage, random: Random, number: u64, agent: &'static str) -> Self {
        Self {
            conversation: format!("{}{number}", super::conversations(stage.round)),
            prefix: format!("{}-{number}", stage.round),
            stage,
            random,
            agent,
            turns: 0,
            heard: 0,
            last: None,
            waiting: Waiting::default(),
        }
    }

    /// Plays until so many turns were begun, or the sidecar is gone.
    pub async fn play(mut self, steps: u64) {
        let Some(mut talk) = Talk::open(&self.stage).await else {
            return;
        };
        self.heard = self.stage.ledger.last_seq(&self.conversation);
        if self.heard > 0 && talk.resume(&self.conversation, self.heard).await.is_none() {
            return;
        }
        while self.turns < steps {
            match self.turn(talk).await {
                Some(next) => talk = next,
                None => return,
            }
        }
        talk.goodbye().await;
    }

    /// One turn, and what is done to it, until all that came of it has ended.
    async fn turn(&mut self, mut talk: Talk) -> Option<Talk> {
        let message = self.message();
        talk.say(&message).await?;
        let turn = message["turnId"].as_str().unwrap_or_default().to_owned();
        self.stage.report.did("turns begun");
        self.waiting.turns.insert(turn.clone());
        let (mut frames, act_at) = (0, 1 + self.random.below(30));
        let mut silences = 0;
        while !self.waiting.turns.is_empty() {
            let wait = if self.agent == "far" { SERVER_SILENCE } else { PATIENCE };
            match talk.next(wait).await {
                Next::Gone => return None,
                Next::Silence => {
                    silences += 1;
                    self.check_silence(wait * silences)?;
                    // Each turn that is begun meanwhile may meet a server that never ends.
                    talk.say(&json!({ "type": "cancel" })).await?;
                }
                Next::Frame(frame) => {
                    frames += 1;
                    self.heed(&frame, &mut talk).await?;
                }
            }
            if frames == act_at && self.waiting.acknowledged.contains(&turn) {
                frames += 1;
                talk = self.act(talk, &turn, &message).await?;
            }
        }
        self.last = self.waiting.acknowledged.pop_last();
        self.waiting = Waiting::default();
        Some(talk)
    }

    /// A sidecar that says nothing for that long, though turns wait for their ends, is stuck.
    fn check_silence(&self, silence: Duration) -> Option<()> {
        let is_short = silence < PATIENCE;
        self.stage.report.check("a turn ends, or goes on", is_short, || {
            let (round, conversation) = (self.stage.round, &self.conversation);
            format!("round {round}, {conversation}: {:?} have no end", self.waiting)
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

    /// Does something to a turn that runs.
    async fn act(&mut self, mut talk: Talk, turn: &str, message: &Value) -> Option<Talk> {
        match self.random.below(8) {
            0 => {
                self.stage.report.did("turns cancelled");
                talk.say(&json!({ "type": "cancel", "turnId": turn, "conversationId": self.conversation }))
                    .await?;
            }
            1 => {
                self.stage.report.did("messages said again");
                talk.say(message).await?;
            }
            2 => {
                self.stage.report.did("turns answered once more");
                let again = format!("{turn}-again");
                let regenerate = json!({ "type": "regenerate", "turnId": turn, "newTurnId": again, "conversationId": self.conversation });
                talk.say(&regenerate).await?;
                self.waiting.turns.insert(again.clone());
                self.waiting.regenerated = Some((turn.to_owned(), again));
            }
            3 => {
                self.stage.report.did("messages edited");
                let mut edit = self.message();
                edit["editTurnId"] = json!(self.last.as_deref().unwrap_or(turn));
                talk.say(&edit).await?;
                self.wait_for(&edit);
            }
            4 => {
                self.stage.report.did("messages said while one was answered");
                let next = self.message();
                talk.say(&next).await?;
                self.wait_for(&next);
            }
            5 => {
                self.stage.report.did("connections lost in an answer");
                talk.vanish();
                talk = self.come_back().await?;
            }
            6 => {
                self.stage.report.did("goodbyes said in an answer");
                talk.goodbye().await;
                talk = self.come_back().await?;
            }
            _ => {}
        }
        Some(talk)
    }

    fn wait_for(&mut self, message: &Value) {
        let turn = message["turnId"].as_str().unwrap_or_default();
        self.waiting.turns.insert(turn.to_owned());
    }

    async fn come_back(&mut self) -> Option<Talk> {
        let mut talk = Talk::open(&self.stage).await?;
        talk.resume(&self.conversation, self.heard).await?;
        Some(talk)
    }

    /// Takes in a frame: who is acknowledged, who has ended, who was refused, and which tool is asked for.
    async fn heed(&mut self, frame: &Value, talk: &mut Talk) -> Option<()> {
        let turn = frame["turnId"].as_str().unwrap_or_default().to_owned();
        self.heard = frame["seq"].as_u64().unwrap_or(self.heard);
        match frame["type"].as_str().unwrap_or_default() {
            "user" => {
                self.waiting.acknowledged.insert(turn);
            }
            "tool" if self.random.once_in(2) => {
                self.stage.report.did("tools answered");
                let output = json!({
                    "type": "tool-output", "turnId": turn, "conversationId": self.conversation, "callId": frame["callId"], "output": 21,
                });
                talk.say(&output).await?;
            }
            "done" | "error" if frame["seq"].is_u64() => {
                self.waiting.turns.remove(&turn);
            }
            "error" => self.refused(frame, &turn),
            _ => {}
        }
        Some(())
    }

    /// An error of no log: a frame was refused, or a turn's end can't be stored yet.
    fn refused(&mut self, error: &Value, turn: &str) {
        let words = error["message"].as_str().unwrap_or_default();
        if words.contains("can't be stored yet") {
            self.stage.report.did("owners told that an end can't be stored yet");
            return;
        }
        self.stage.report.did("frames refused by name");
        if let Some((_, again)) = self.waiting.regenerated.take_if(|(base, _)| base == turn) {
            self.waiting.turns.remove(&again);
            return;
        }
        if !self.waiting.acknowledged.contains(turn) && self.waiting.turns.remove(turn) {
            self.stage.ledger.refused(&self.conversation, turn);
        }
    }
}
