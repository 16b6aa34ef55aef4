//! What is said over HTTP. Agents keep the `snake_case` of their first clients; everything else is `camelCase`.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

#[cfg(any(test, feature = "schema"))]
use crate::schema;
use crate::{EffectiveOptions, ErrorCode, ProtocolError, object};

/// An agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema, ts_rs::TS))]
pub struct Agent {
    /// Its id, which is its file's name.
    #[cfg_attr(any(test, feature = "schema"), schemars(with = "schema::AgentId"))]
    pub id: String,
    /// Its name, for people.
    #[cfg_attr(any(test, feature = "schema"), schemars(with = "schema::VisibleText"))]
    pub name: String,
    /// Who it is and how it answers.
    pub system_prompt: String,
    /// What it knows, as Markdown.
    pub markdown_context: String,
}

/// Answer of `GET /agents`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema, ts_rs::TS))]
pub struct AgentList {
    /// All of them, by id.
    pub agents: Vec<Agent>,
}

/// Body of `PUT /agents/{id}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    any(test, feature = "schema"),
    derive(schemars::JsonSchema, ts_rs::TS),
    ts(optional_fields)
)]
pub struct AgentDraft {
    /// Equals the path's when it is there.
    #[cfg_attr(any(test, feature = "schema"), schemars(with = "Option<schema::AgentId>"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// As in [`Agent`].
    #[cfg_attr(any(test, feature = "schema"), schemars(with = "schema::VisibleText"))]
    pub name: String,
    /// As in [`Agent`].
    pub system_prompt: String,
    /// As in [`Agent`].
    pub markdown_context: String,
}

impl AgentDraft {
    /// Reads a body.
    ///
    /// # Errors
    /// [`ProtocolError`] naming the field that is missing, repeated or of the wrong type.
    pub fn parse(body: &[u8]) -> Result<Self, ProtocolError> {
        object::read(body)
    }
}

/// Body of every error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema, ts_rs::TS))]
pub struct ErrorBody {
    /// In words, for people.
    pub detail: String,
    /// What kind of fault.
    pub code: ErrorCode,
}

/// One line of `GET /conversations`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema, ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct ConversationSummary {
    /// Its id.
    #[cfg_attr(any(test, feature = "schema"), schemars(with = "schema::Id"))]
    pub conversation_id: String,
    /// When its first turn began: RFC 3339, UTC, milliseconds.
    #[cfg_attr(any(test, feature = "schema"), schemars(with = "schema::Timestamp"))]
    pub created_at: String,
    /// When its newest event was logged.
    #[cfg_attr(any(test, feature = "schema"), schemars(with = "schema::Timestamp"))]
    pub updated_at: String,
    /// The turn that the next one follows.
    #[cfg_attr(any(test, feature = "schema"), schemars(with = "Option<schema::Id>"))]
    pub head_turn_id: Option<String>,
    /// The last `seq` of its log.
    pub last_seq: u64,
}

/// Answer of `GET /conversations`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema, ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct ConversationPage {
    /// The newest first.
    pub conversations: Vec<ConversationSummary>,
    /// What to ask for next, as `?cursor=`; `null` at the end.
    pub next_cursor: Option<String>,
}

/// Answer of `GET /conversations/{id}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema, ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Conversation {
    /// The conversation itself.
    #[serde(flatten)]
    pub summary: ConversationSummary,
    /// Its turns, the oldest first: a tree by `parentTurnId`.
    pub turns: Vec<Turn>,
    /// What to ask for next, as `?cursor=`; `null` at the end.
    pub next_cursor: Option<String>,
}

/// One turn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema, ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Turn {
    /// Its id.
    #[cfg_attr(any(test, feature = "schema"), schemars(with = "schema::Id"))]
    pub turn_id: String,
    /// The turn that it follows.
    #[cfg_attr(any(test, feature = "schema"), schemars(with = "Option<schema::Id>"))]
    pub parent_turn_id: Option<String>,
    /// Where it stands.
    pub state: TurnState,
    /// The agent that answers.
    #[cfg_attr(any(test, feature = "schema"), schemars(with = "schema::AgentId"))]
    pub agent_id: String,
    /// Hash of that agent as it was.
    #[cfg_attr(any(test, feature = "schema"), schemars(with = "schema::Sha256"))]
    pub agent_hash: String,
    /// What the user said.
    pub user_text: String,
    /// The answer so far.
    pub answer_text: String,
    /// The options in force.
    pub options: EffectiveOptions,
    /// Its seed.
    pub seed: u64,
    /// The `seq` of its `user` event.
    pub first_seq: u64,
    /// When it began: RFC 3339, UTC, milliseconds.
    #[cfg_attr(any(test, feature = "schema"), schemars(with = "schema::Timestamp"))]
    pub created_at: String,
    /// When it ended.
    #[cfg_attr(any(test, feature = "schema"), schemars(with = "Option<schema::Timestamp>"))]
    pub ended_at: Option<String>,
}

/// Where a turn stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema, ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum TurnState {
    /// On disk; nothing is generated yet.
    Pending,
    /// Being answered.
    Streaming,
    /// Answered.
    Done,
    /// Stopped; what was generated is kept.
    Cancelled,
    /// Ended in an error.
    Failed,
    /// Cut off by a crash or a stop of the server.
    Interrupted,
}

/// Answer of `GET /conversations/{id}/events`.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema, ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct EventPage {
    /// Frames exactly as a socket would send them, in order.
    #[cfg_attr(
        any(test, feature = "schema"),
        schemars(with = "Vec<schema::LoggedFrame>"),
        ts(type = "Array<ServerEvent & Envelope>")
    )]
    pub events: Vec<Box<RawValue>>,
    /// The last `seq` of the log; more events follow while it is above the last one here.
    pub last_seq: u64,
}

/// Answer of `GET /healthz` and `GET /health`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema, ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// Always `ok`: a process that can't say so says nothing.
    pub status: String,
    /// The server's version.
    pub version: String,
    /// Changes when the server starts anew.
    pub boot_id: String,
}

/// Answer of `GET /readyz`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema, ts_rs::TS))]
pub struct Readiness {
    /// Always `ready`.
    pub status: String,
    /// What answers when nobody asks for another.
    pub model: String,
}

/// Answer of `GET /models`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema, ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct ModelList {
    /// What answers when nobody asks for another.
    pub default_model: String,
    /// Every model that a message may ask for, the default first, then those that the drivers' servers have.
    pub models: Vec<Model>,
}

/// One model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    any(test, feature = "schema"),
    derive(schemars::JsonSchema, ts_rs::TS),
    ts(optional_fields)
)]
#[serde(rename_all = "camelCase")]
pub struct Model {
    /// Its name, as an agent's `model` and `options.model` say it.
    pub model: String,
    /// What runs it: `local`, `ollama` or `openai`.
    pub driver: String,
    /// Whether a message may ask for it; another one answers only for agents that name it.
    pub allowed: bool,
    /// Whether it is there: its files are read, or its server has it.
    pub available: bool,
    /// Whether it is in memory, where that can be known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loaded: Option<bool>,
    /// Why it isn't available.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Answer of `GET /conversations/{id}/prompt?turn=`: what the model saw of one turn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema, ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Prompt {
    /// The conversation.
    #[cfg_attr(any(test, feature = "schema"), schemars(with = "schema::Id"))]
    pub conversation_id: String,
    /// The turn.
    #[cfg_attr(any(test, feature = "schema"), schemars(with = "schema::Id"))]
    pub turn_id: String,
    /// Fingerprint of the model that answered; `null` when none has begun to.
    pub model: Option<String>,
    /// Whether the model that is loaded now is that one. When not, ids are this model's rendering of the same words.
    pub same_model: bool,
    /// The turn's own segment: its message, with the template's words around it.
    pub segment: PromptPart,
    /// The turn that the epoch began with: replaying from there rebuilds the whole prompt.
    #[cfg_attr(any(test, feature = "schema"), schemars(with = "Option<schema::Id>"))]
    pub epoch_turn_id: Option<String>,
    /// Which tokens of the epoch's prompt are in view when the answer begins.
    pub window: PromptWindow,
    /// The whole prompt's parts, without their words.
    pub parts: Vec<PromptPart>,
    /// sha256 of the epoch's prompt as text up to the answer, hexadecimal.
    #[cfg_attr(any(test, feature = "schema"), schemars(with = "schema::Sha256"))]
    pub text_sha256: String,
    /// sha256 of its token ids, each as 4 bytes little endian, hexadecimal.
    #[cfg_attr(any(test, feature = "schema"), schemars(with = "schema::Sha256"))]
    pub ids_sha256: String,
    /// The agent as the turn saw it.
    pub agent: Agent,
}

/// One part of a prompt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    any(test, feature = "schema"),
    derive(schemars::JsonSchema, ts_rs::TS),
    ts(optional_fields)
)]
#[serde(rename_all = "camelCase")]
pub struct PromptPart {
    /// What it is.
    pub kind: PromptPartKind,
    /// Its turn; absent for the system part.
    #[cfg_attr(any(test, feature = "schema"), schemars(with = "Option<schema::Id>"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn_id: Option<String>,
    /// Place of its first token in the epoch's prompt.
    pub start: u64,
    /// Place after its last token.
    pub end: u64,
    /// Its words, special tokens spelled out; only of the turn that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Its token ids; only of the turn that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ids: Option<Vec<u32>>,
}

/// What a [`PromptPart`] holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema, ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum PromptPartKind {
    /// The agent's words, which never leave the view.
    System,
    /// A user's message.
    User,
    /// An answer.
    Assistant,
    /// The output of a tool.
    Tool,
}

/// Which tokens of a prompt are in view: the sinks, and `start..end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema, ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct PromptWindow {
    /// Tokens at the beginning that never leave: the system part, at least.
    pub sink_tokens: u64,
    /// Place of the window's first token.
    pub start: u64,
    /// Place after its last one: the prompt's length.
    pub end: u64,
}
