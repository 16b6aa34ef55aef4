//! The events that the server sends on the socket, most of which a conversation's log holds.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

use crate::texts;
use crate::{EffectiveOptions, ErrorCode, Limits, Narration, Reasoning, Step, Summary, Tool, ToolOutput};

/// One event. The log holds its own fields; the frame's [`Envelope`] adds `seq` and the ids.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum ServerEvent {
    /// Answers a socket's first frame. Not logged.
    Ready(Ready),
    /// The turn waits behind others. Not logged; sent again when the number changes.
    Queued(Queued),
    /// A user's turn is on disk.
    User(User),
    /// The model has begun to prefill the prompt.
    Started(Started),
    /// More text of the answer.
    Token(Token),
    /// More of the model's reasoning, which is no part of the answer.
    Reasoning(Reasoning),
    /// The model, or a controller, calls a tool.
    Tool(Tool),
    /// The output of a tool.
    ToolOutput(ToolOutput),
    /// A step begins: an answer of the model with the calls of tools in it, or a controller's step.
    StepStart(Step),
    /// A step goes on.
    Step(Step),
    /// A step is over.
    StepFinish(Step),
    /// A narrator's summary of what has happened so far.
    Summary(Summary),
    /// A narrator's remark.
    Narration(Narration),
    /// Tokens were evicted from the model's view and won't return.
    Evicted(Evicted),
    /// The turn is complete.
    Done(Done),
    /// The turn failed; without a `seq`, a frame was refused.
    Error(ErrorEvent),
    /// Answers a `ping`. Not logged.
    Pong(Pong),
    /// The client resumed after a `seq` that the log doesn't have. Not logged.
    Reset(Reset),
}

/// The keys of a frame beside its event's own fields. Logged events have all four.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema, TS)]
#[ts(optional_fields)]
#[serde(rename_all = "camelCase")]
pub struct Envelope {
    /// The event's number in its conversation's log, counted from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// The conversation.
    #[schemars(with = "Option<texts::Id>")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation_id: Option<String>,
    /// The turn.
    #[schemars(with = "Option<texts::Id>")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn_id: Option<String>,
    /// When the event was logged: RFC 3339, UTC, milliseconds.
    #[schemars(with = "Option<texts::Timestamp>")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
}

/// Own fields of `ready`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct Ready {
    /// [`PROTOCOL_VERSION`](crate::PROTOCOL_VERSION).
    pub protocol: u32,
    /// The agent that the socket is bound to, if there is one.
    #[schemars(with = "Option<texts::AgentId>")]
    pub agent_id: Option<String>,
    /// The model's name.
    pub model: String,
    /// Limits in force.
    pub limits: Limits,
    /// The last `seq` of the socket's conversation; 0 without one.
    pub last_seq: u64,
    /// Changes with each start of the server.
    pub boot_id: String,
}

/// Own fields of `user`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct User {
    /// The user's message.
    pub text: String,
    /// The agent that answers.
    #[schemars(with = "texts::AgentId")]
    pub agent_id: String,
    /// Hash of the agent as it was when the turn began: sha256, hexadecimal.
    #[schemars(with = "texts::Sha256")]
    pub agent_hash: String,
    /// The options in force.
    pub options: EffectiveOptions,
    /// The turn's seed, below 2^53.
    pub seed: u64,
    /// The turn that this one follows; `null` for a conversation's first turn.
    #[schemars(with = "Option<texts::Id>")]
    pub parent_turn_id: Option<String>,
}

/// Own fields of `queued`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct Queued {
    /// Turns of the conversation that run or wait before this one.
    pub ahead: u32,
}

/// Own fields of `started`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct Started {
    /// The model's name.
    pub model: String,
    /// Prompt tokens that have to be prefilled.
    pub prompt_tokens: u64,
    /// Tokens in view that were cached.
    pub cached_tokens: u64,
    /// The window in force; smaller than requested if the model's trained context is.
    pub window_tokens: u64,
}

/// Own fields of `token`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[ts(optional_fields)]
#[serde(rename_all = "camelCase")]
pub struct Token {
    /// Whole characters, never empty.
    pub token: String,
    /// The first event's `seq` if several were joined for a slow reader; the frame's `seq` is then the last one's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_seq: Option<u64>,
}

/// Own fields of `evicted`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct Evicted {
    /// Tokens evicted since the last such event.
    pub tokens: u64,
    /// The turns without any token left in view, oldest first.
    #[schemars(with = "Vec<texts::Id>")]
    pub turns: Vec<String>,
}

/// Own fields of `done`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, TS)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// The model ended it, or a stop string matched.
    Stop,
    /// `maxNewTokens` was reached, or the context is full.
    Length,
    /// It was cancelled.
    Cancelled,
}

/// Counts of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema, TS)]
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
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema, TS)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct ErrorEvent {
    /// The kind of error.
    pub code: ErrorCode,
    /// In words, for people.
    pub message: String,
    /// True if the same request may succeed later.
    pub retryable: bool,
}

impl ErrorEvent {
    /// Creates an error with the `retryable` of its code.
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
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema, TS)]
#[ts(optional_fields)]
#[serde(rename_all = "camelCase")]
pub struct Pong {
    /// The id of the ping.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

/// Own fields of `reset`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct Reset {
    /// The last `seq` of the conversation's log.
    pub last_seq: u64,
}

impl ServerEvent {
    /// Returns the event's name on the wire and in the log.
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

    /// Returns the event's own fields as a JSON object, as the log holds them.
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

    /// Returns the event as a text frame.
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
