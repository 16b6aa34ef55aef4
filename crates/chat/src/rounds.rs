//! The rounds of a turn: what the model said, the tools that it asked for, and what they gave.
//!
//! The record is stored with the turn whenever it changes, so that a call that waits outlives the process, and later prompts
//! have the rounds. Pure: nothing here waits or writes.

use conversation_store::Turn;
use engine::{Message, Role, TurnTag};
use protocol::ToolDefinition;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Rounds that a turn may have: enough for real work, few enough that a model which asks for ever comes to an end.
pub(crate) const MAX_ROUNDS: usize = 8;

/// All outputs of a turn together, as JSON: two of the largest frames, and more than any model reads. With the event that carries one
/// and the rest of the record it fits what the store writes at once.
pub(crate) const MAX_OUTPUT_BYTES: usize = 2 << 20;

/// All that a model may say in a turn when it asks for tools, words and arguments together, as JSON: a file or two that it writes.
pub(crate) const MAX_ASKED_BYTES: usize = 1 << 20;

/// All that is needed to go on with a turn after a restart, and to make prompts of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// The model that asks, which goes on to do so.
    pub model: String,
    /// What it was offered.
    pub tools: Vec<ToolDefinition>,
    pub rounds: Vec<Round>,
}

/// One answer of the model that asked for tools.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Round {
    /// What it said before.
    pub text: String,
    pub calls: Vec<Call>,
}

/// One call of a tool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Call {
    /// Unique in the turn.
    pub id: String,
    pub name: String,
    /// JSON text, as the model wrote it.
    pub arguments: String,
    /// `None` while it waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Value>,
}

impl Record {
    /// The record of a stored turn, if it has one that can be read.
    pub(crate) fn of(turn: &Turn) -> Option<Self> {
        serde_json::from_str(turn.rounds_json.as_deref()?).ok()
    }

    /// The record of a turn that was cut off and can go on: nothing was said since its last call, so nothing would be said twice.
    pub(crate) fn open_in(turn: &Turn) -> Option<Self> {
        let record = Self::of(turn)?;
        let said: usize = record.rounds.iter().map(|round| round.text.len()).sum();
        (!record.rounds.is_empty() && said == turn.answer_text.len()).then_some(record)
    }

    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a record has string keys only")
    }

    /// Adds a round; its calls get ids of their own, since a model may use one twice.
    pub(crate) fn push(&mut self, text: String, calls: Vec<engine::ToolCall>) -> &Round {
        let round = self.rounds.len() + 1;
        let calls = calls.into_iter().enumerate().map(|(index, call)| Call {
            id: format!("call-{round}-{}", index + 1),
            name: call.name,
            arguments: call.arguments,
            output: None,
        });
        let calls = calls.collect();
        self.rounds.push(Round { text, calls });
        self.rounds.last().expect("one was just pushed")
    }

    /// The calls that wait, all of the last round.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = &Call> {
        let calls = self.rounds.last().into_iter().flat_map(|round| &round.calls);
        calls.filter(|call| call.output.is_none())
    }

    /// Answers a call that waits; its name.
    pub(crate) fn answer(&mut self, call_id: &str, output: Value) -> Option<String> {
        let calls = self.rounds.last_mut().into_iter().flat_map(|round| &mut round.calls);
        let call = calls
            .into_iter()
            .find(|call| call.id == call_id && call.output.is_none())?;
        call.output = Some(output);
        Some(call.name.clone())
    }

    /// The rounds as messages of a turn. One with a call that nothing has answered ends them: no model takes half a round.
    pub(crate) fn messages(&self, tag: TurnTag) -> Vec<Message> {
        let whole = |round: &&Round| round.calls.iter().all(|call| call.output.is_some());
        self.rounds
            .iter()
            .take_while(whole)
            .flat_map(|round| round.messages(tag))
            .collect()
    }

    /// The outputs so far, as JSON.
    pub(crate) fn output_bytes(&self) -> usize {
        let calls = self.rounds.iter().flat_map(|round| &round.calls);
        calls.filter_map(|call| call.output.as_ref()).map(json_bytes).sum()
    }

    /// What the model has said in the rounds, as JSON.
    pub(crate) fn asked_bytes(&self) -> usize {
        let calls = |round: &Round| -> usize {
            let calls = round.calls.iter();
            calls
                .map(|call| json_bytes(&call.name) + json_bytes(&call.arguments))
                .sum()
        };
        self.rounds
            .iter()
            .map(|round| json_bytes(&round.text) + calls(round))
            .sum()
    }

    /// How much of the turn's answer the rounds have said.
    pub(crate) fn said_bytes(&self) -> usize {
        self.rounds.iter().map(|round| round.text.len()).sum()
    }
}

impl Round {
    fn messages(&self, tag: TurnTag) -> Vec<Message> {
        let calls = self.calls.iter().map(|call| engine::ToolCall {
            id: call.id.clone(),
            name: call.name.clone(),
            arguments: call.arguments.clone(),
        });
        let asked = Message::new(Role::Assistant { calls: calls.collect() }, tag, self.text.clone());
        let outputs = self.calls.iter().map(|call| {
            let role = Role::Tool {
                call_id: call.id.clone(),
                name: call.name.clone(),
            };
            Message::new(role, tag, call.output.as_ref().map_or(String::new(), words))
        });
        std::iter::once(asked).chain(outputs).collect()
    }
}

/// How long a value is as JSON.
pub(crate) fn json_bytes(value: &impl Serialize) -> usize {
    serde_json::to_string(value).map_or(0, |json| json.len())
}

/// Text as it is, anything else as JSON.
fn words(output: &Value) -> String {
    match output {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
