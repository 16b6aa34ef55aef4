//! What the server says on the socket, and what a conversation's log holds.

use serde::{Deserialize, Serialize};

#[cfg(any(test, feature = "schema"))]
use crate::schema;
use crate::{EffectiveOptions, ErrorCode, Limits, Narration, Reasoning, Step, Summary, Tool, ToolOutput};

/// One event. What the log holds of it is its own fields; `seq` and the like are the frame's [`Envelope`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema, ts_rs::TS))]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum ServerEvent {
    /// Answers a socket's first frame. Not logged.
    Ready(Ready),
    /// The turn waits behind others. Not logged; told again when it changes.
    Queued(Queued),
    /// A user's turn is on disk.
    User(User),
    /// The model has begun to read the prompt.
    Started(Started),
    /// More text of the answer.
    Token(Token),
    /// More of what the model thinks before it answers; no part of the answer.
    Reasoning(Reasoning),
    /// The model, or a controller, asks for a tool.
    Tool(Tool),
    /// What a tool gave.
    ToolOutput(ToolOutput),
    /// A step begins: a round of the model with the tools that it asks for, or one that a controller names.
    StepStart(Step),
    /// A step goes on.
    Step(Step),
    /// A step is over.
    StepFinish(Step),
    /// A narrator's summary of what has happened so far.
    Summary(Summary),
    /// A narrator's remark.
    Narration(Narration),
    /// Tokens have left the model's view for good.
    Evicted(Evicted),
    /// The turn is over.
    Done(Done),
    /// The turn failed; without a `seq`, a frame was refused.
    Error(ErrorEvent),
    /// Answers a `ping`. Not logged.
    Pong(Pong),
    /// The reader asked for more than there is. Not logged.
    Reset(Reset),
}

/// What a frame carries beside its event's own fields. Logged events have all four.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(
    any(test, feature = "schema"),
    derive(schemars::JsonSchema, ts_rs::TS),
    ts(optional_fields)
)]
#[serde(rename_all = "camelCase")]
pub struct Envelope {
    /// The event's number in its conversation's log: 1, 2, 3 and so on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// The conversation.
    #[cfg_attr(any(test, feature = "schema"), schemars(with = "Option<schema::Id>"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation_id: Option<String>,
    /// The turn.
    #[cfg_attr(any(test, feature = "schema"), schemars(with = "Option<schema::Id>"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn_id: Option<String>,
    /// When it was logged: RFC 3339, UTC, milliseconds.
    #[cfg_attr(any(test, feature = "schema"), schemars(with = "Option<schema::Timestamp>"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
}

/// Own fields of `ready`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema, ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Ready {
    /// [`PROTOCOL_VERSION`](crate::PROTOCOL_VERSION).
    pub protocol: u32,
    /// The agent that the socket is bound to, if it is.
    #[cfg_attr(any(test, feature = "schema"), schemars(with = "Option<schema::AgentId>"))]
    pub agent_id: Option<String>,
    /// The model's name.
    pub model: String,
    /// Limits in force.
    pub limits: Limits,
    /// The last `seq` of the socket's conversation; 0 without one.
    pub last_seq: u64,
    /// Changes when the server starts anew.
    pub boot_id: String,
}

/// Own fields of `user`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema, ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct User {
    /// What the user said.
    pub text: String,
    /// The agent that answers.
    #[cfg_attr(any(test, feature = "schema"), schemars(with = "schema::AgentId"))]
    pub agent_id: String,
    /// Hash of the agent as it was: sha256, hexadecimal.
    #[cfg_attr(any(test, feature = "schema"), schemars(with = "schema::Sha256"))]
    pub agent_hash: String,
    /// The options in force.
    pub options: EffectiveOptions,
    /// The turn's seed, below 2^53.
    pub seed: u64,
    /// The turn that it follows; `null` for a conversation's first.
    #[cfg_attr(any(test, feature = "schema"), schemars(with = "Option<schema::Id>"))]
    pub parent_turn_id: Option<String>,
}

/// Own fields of `queued`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema, ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Queued {
    /// Turns of the conversation that run or wait before it.
    pub ahead: u32,
}

/// Own fields of `started`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema, ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Started {
    /// The model's name.
    pub model: String,
    /// Tokens that this turn adds to the prompt, or brings back into it.
    pub prompt_tokens: u64,
    /// Tokens in view that needed no work.
    pub cached_tokens: u64,
    /// The window in force; smaller than asked for when the model's trained context is.
    pub window_tokens: u64,
}

/// Own fields of `token`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    any(test, feature = "schema"),
    derive(schemars::JsonSchema, ts_rs::TS),
    ts(optional_fields)
)]
#[serde(rename_all = "camelCase")]
pub struct Token {
    /// Whole characters, never none.
    pub token: String,
    /// When several events were joined for a slow reader: the first one's `seq`; the frame's `seq` is the last one's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_seq: Option<u64>,
}

/// Own fields of `evicted`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema, ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Evicted {
    /// How many tokens, since the last such event.
    pub tokens: u64,
    /// The turns of which nothing is left in view, oldest first.
    #[cfg_attr(any(test, feature = "schema"), schemars(with = "Vec<schema::Id>"))]
    pub turns: Vec<String>,
}

/// Own fields of `done`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema, ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Done {
    /// Why the answer ended.
    pub finish_reason: FinishReason,
    /// Counts of tokens.
    pub usage: Usage,
    /// Durations.
    pub timings: Timings,
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema, ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// The model ended it, or a stop string was met.
    Stop,
    /// `maxNewTokens` was reached, or the context is full.
    Length,
    /// It was cancelled.
    Cancelled,
}

/// Counts of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema, ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Usage {
    /// As in `started`.
    pub prompt_tokens: u64,
    /// As in `started`.
    pub cached_tokens: u64,
    /// Tokens generated.
    pub completion_tokens: u64,
    /// Attention sinks in force.
    pub sink_tokens: u64,
    /// Window in force.
    pub window_tokens: u64,
    /// Tokens that left the window during the turn.
    pub evicted_tokens: u64,
    /// The context that the model was trained for.
    pub context_limit: u64,
}

/// Durations, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema, ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Timings {
    /// From the request to its prefill.
    pub queue_ms: f64,
    /// Prefill.
    pub prefill_ms: f64,
    /// From the request to the first token.
    pub first_token_ms: f64,
    /// From the first token to the last.
    pub decode_ms: f64,
    /// Tokens after the first, per second of `decodeMs`.
    pub tokens_per_second: f64,
}

/// Own fields of `error`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema, ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct ErrorEvent {
    /// What kind of fault.
    pub code: ErrorCode,
    /// In words, for people.
    pub message: String,
    /// Whether the same request may work later.
    pub retryable: bool,
}

impl ErrorEvent {
    /// An error with the code's own `retryable`.
    #[must_use]
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            retryable: code.retryable(),
        }
    }
}

/// Own fields of `pong`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(
    any(test, feature = "schema"),
    derive(schemars::JsonSchema, ts_rs::TS),
    ts(optional_fields)
)]
#[serde(rename_all = "camelCase")]
pub struct Pong {
    /// The ping's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

/// Own fields of `reset`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema, ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Reset {
    /// The last `seq` of the conversation's log.
    pub last_seq: u64,
}

impl ServerEvent {
    /// The event's name on the wire and in the log.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Ready(_) => "ready",
            Self::Queued(_) => "queued",
            Self::User(_) => "user",
            Self::Started(_) => "started",
            Self::Token(_) => "token",
            Self::Reasoning(_) => "reasoning",
            Self::Tool(_) => "tool",
            Self::ToolOutput(_) => "tool-output",
            Self::StepStart(_) => "step-start",
            Self::Step(_) => "step",
            Self::StepFinish(_) => "step-finish",
            Self::Summary(_) => "summary",
            Self::Narration(_) => "narration",
            Self::Evicted(_) => "evicted",
            Self::Done(_) => "done",
            Self::Error(_) => "error",
            Self::Pong(_) => "pong",
            Self::Reset(_) => "reset",
        }
    }

    /// The event's own fields as a JSON object: what the log holds.
    #[must_use]
    pub fn fields(&self) -> String {
        match self {
            Self::Ready(own) => json(own),
            Self::Queued(own) => json(own),
            Self::User(own) => json(own),
            Self::Started(own) => json(own),
            Self::Token(own) => json(own),
            Self::Reasoning(own) => json(own),
            Self::Tool(own) => json(own),
            Self::ToolOutput(own) => json(own),
            Self::StepStart(own) | Self::Step(own) | Self::StepFinish(own) => json(own),
            Self::Summary(own) => json(own),
            Self::Narration(own) => json(own),
            Self::Evicted(own) => json(own),
            Self::Done(own) => json(own),
            Self::Error(own) => json(own),
            Self::Pong(own) => json(own),
            Self::Reset(own) => json(own),
        }
    }

    /// The event as a text frame.
    #[must_use]
    pub fn frame(&self, envelope: &Envelope) -> String {
        frame(self.kind(), &self.fields(), envelope)
    }
}

/// Returns true if a logged event of this kind ends its turn.
#[must_use]
pub fn is_terminal(kind: &str) -> bool {
    matches!(kind, "done" | "error")
}

/// Joins an event's name, its own fields (a JSON object) and its envelope to a text frame, without parsing them.
#[must_use]
pub fn frame(kind: &str, fields: &str, envelope: &Envelope) -> String {
    let envelope = json(envelope);
    let mut frame = String::with_capacity(kind.len() + fields.len() + envelope.len() + 16);
    frame.push_str("{\"type\":");
    frame.push_str(&json(kind));
    for object in [fields, &envelope] {
        let inside = object
            .trim()
            .strip_prefix('{')
            .and_then(|rest| rest.strip_suffix('}'))
            .unwrap_or_default();
        if !inside.trim().is_empty() {
            frame.push(',');
            frame.push_str(inside);
        }
    }
    frame.push('}');
    frame
}

fn json<T: Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).expect("wire types have string keys and no fallible serializer")
}
