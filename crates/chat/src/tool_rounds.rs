//! The rounds of a turn: the model's text, its tool calls, and their outputs.
//!
//! They are stored with the turn whenever they change, so that a waiting call outlives the process and later prompts
//! include the rounds. Pure: nothing here waits or writes.

use conversation_store::Turn;
use engine::{Message, Role, TurnTag};
use protocol::ToolDefinition;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Rounds that a turn may have: enough for real work, few enough to stop a model that keeps calling tools.
pub(crate) const MAX_ROUNDS: usize = 8;

/// Bytes of all outputs of a turn together, as JSON: two of the largest frames, and more than any model reads. With the
/// event that carries one and the rest of the rounds it fits what the store writes at once.
pub(crate) const MAX_OUTPUT_BYTES: usize = 2 << 20;

/// Bytes of text and calls of all rounds of a turn together, as JSON: a file or two that a model writes.
pub(crate) const MAX_CALL_BYTES: usize = 1 << 20;

/// A turn's rounds, with all that is needed to resume the turn after a restart and to build later prompts.
///
/// Stored as JSON with the turn.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct ToolRounds {
    /// The model that called the tools, and that goes on after them.
    pub model: String,
    /// The tools that it was offered.
    pub tools: Vec<ToolDefinition>,
    /// Oldest first.
    pub rounds: Vec<ToolRound>,
}

/// One answer of the model that calls tools.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct ToolRound {
    /// Its text before the calls.
    pub text: String,
    pub calls: Vec<RecordedCall>,
}

/// One call of a tool, as it is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct RecordedCall {
    /// Unique in the turn.
    pub id: String,
    pub name: String,
    /// JSON text, as the model wrote it.
    pub arguments: String,
    /// `None` while the call is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Value>,
}

impl ToolRounds {
    /// Reads the rounds of a stored turn; returns `None` if it has none that can be read.
    pub(crate) fn stored_in(turn: &Turn) -> Option<Self> {
        serde_json::from_str(turn.rounds_json.as_deref()?).ok()
    }

    /// Reads the rounds of a stored turn that can be resumed: it has no text after its last call that a resume would
    /// repeat.
    pub(crate) fn resumable_in(turn: &Turn) -> Option<Self> {
        let stored = Self::stored_in(turn)?;
        let is_resumable = !stored.rounds.is_empty() && stored.text_bytes() == turn.answer_text.len();
        is_resumable.then_some(stored)
    }

    /// Returns the stored form.
    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string(self).expect("rounds have string keys only")
    }

    /// Adds a round. Its calls get new ids, since a model may use one twice.
    pub(crate) fn push(&mut self, text: String, calls: Vec<engine::ToolCall>) {
        let round = self.rounds.len() + 1;
        let calls = calls.into_iter().enumerate().map(|(index, call)| RecordedCall {
            id: format!("call-{round}-{}", index + 1),
            name: call.name,
            arguments: call.arguments,
            output: None,
        });
        let calls = calls.collect();
        self.rounds.push(ToolRound { text, calls });
    }

    /// Returns the number of rounds.
    pub(crate) fn count(&self) -> usize {
        self.rounds.len()
    }

    /// Returns true if some call has no output.
    pub(crate) fn has_open_calls(&self) -> bool {
        self.open_calls().next().is_some()
    }

    /// Returns the calls without an output, all of the last round.
    pub(crate) fn open_calls(&self) -> impl Iterator<Item = &RecordedCall> {
        let calls = self.rounds.last().into_iter().flat_map(|round| &round.calls);
        calls.filter(|call| call.output.is_none())
    }

    /// Sets the output of an open call and returns the tool's name; returns `None` if no such call is open.
    pub(crate) fn set_output(&mut self, call_id: &str, output: Value) -> Option<String> {
        let calls = self.rounds.last_mut().into_iter().flat_map(|round| &mut round.calls);
        let call = calls
            .into_iter()
            .find(|call| call.id == call_id && call.output.is_none())?;
        call.output = Some(output);
        Some(call.name.clone())
    }

    /// Returns the rounds as messages of a turn, up to the first one with an open call: no model accepts half a round.
    pub(crate) fn messages(&self, tag: TurnTag) -> Vec<Message> {
        let whole = |round: &&ToolRound| round.calls.iter().all(|call| call.output.is_some());
        self.rounds
            .iter()
            .take_while(whole)
            .flat_map(|round| round.messages(tag))
            .collect()
    }

    /// Returns the size of the outputs so far, as JSON.
    pub(crate) fn output_bytes(&self) -> usize {
        let calls = self.rounds.iter().flat_map(|round| &round.calls);
        calls.filter_map(|call| call.output.as_ref()).map(json_bytes).sum()
    }

    /// Returns the size of text and calls, as JSON.
    pub(crate) fn call_bytes(&self) -> usize {
        let calls = |round: &ToolRound| -> usize {
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

    /// Returns how many bytes of the turn's answer are text of the rounds.
    pub(crate) fn text_bytes(&self) -> usize {
        self.rounds.iter().map(|round| round.text.len()).sum()
    }
}

impl RecordedCall {
    /// Parses the arguments as JSON; other text becomes a JSON string.
    pub(crate) fn arguments_json(&self) -> Value {
        serde_json::from_str(&self.arguments).unwrap_or_else(|_| Value::String(self.arguments.clone()))
    }
}

impl ToolRound {
    fn messages(&self, tag: TurnTag) -> Vec<Message> {
        let calls = self.calls.iter().map(|call| engine::ToolCall {
            id: call.id.clone(),
            name: call.name.clone(),
            arguments: call.arguments.clone(),
        });
        let request = Message::new(Role::Assistant { calls: calls.collect() }, tag, self.text.clone());
        let outputs = self.calls.iter().map(|call| {
            let role = Role::Tool {
                call_id: call.id.clone(),
                name: call.name.clone(),
            };
            Message::new(role, tag, call.output.as_ref().map_or(String::new(), output_text))
        });
        std::iter::once(request).chain(outputs).collect()
    }
}

/// Returns the size of a value as JSON.
pub(crate) fn json_bytes(value: &impl Serialize) -> usize {
    serde_json::to_string(value).map_or(0, |json| json.len())
}

/// Returns text as it is, and any other value as JSON.
fn output_text(output: &Value) -> String {
    match output {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
