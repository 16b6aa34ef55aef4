//! The HTTP bodies of agents, conversations, models and prompts.
//!
//! Agents keep the `snake_case` of their first clients; all other keys are `camelCase`.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;
use ts_rs::TS;

use crate::texts;
use crate::{EffectiveOptions, Envelope, ErrorCode, ProtocolError, ServerEvent, object};

/// An agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct Agent {
    /// The id, which is the name of the agent's file.
    #[schemars(with = "texts::AgentId")]
    pub id: String,
    /// The name, for people.
    #[schemars(with = "texts::VisibleText")]
    pub name: String,
    /// Who the agent is and how it answers.
    pub system_prompt: String,
    /// What the agent knows, as Markdown.
    pub markdown_context: String,
}

/// Answer of `GET /agents`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct AgentList {
    /// All agents, by id.
    pub agents: Vec<Agent>,
}

/// Body of `PUT /agents/{id}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[ts(optional_fields)]
pub struct AgentDraft {
    /// Equals the path's id, if present.
    #[schemars(with = "Option<texts::AgentId>")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// As in [`Agent`].
    #[schemars(with = "texts::VisibleText")]
    pub name: String,
    /// As in [`Agent`].
    pub system_prompt: String,
    /// As in [`Agent`].
    pub markdown_context: String,
}

impl AgentDraft {
    /// Parses a body.
    ///
    /// # Errors
    /// [`ProtocolError`] naming the field that is missing, repeated or of the wrong type.
    pub fn parse(body: &[u8]) -> Result<Self, ProtocolError> {
        object::read(body)
    }
}

/// Body of every error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct ErrorBody {
    /// In words, for people.
    pub detail: String,
    /// The kind of error.
    pub code: ErrorCode,
}

/// One conversation of `GET /conversations`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct ConversationSummary {
    /// The conversation's id.
    #[schemars(with = "texts::Id")]
    pub conversation_id: String,
    /// When its first turn began: RFC 3339, UTC, milliseconds.
    #[schemars(with = "texts::Timestamp")]
    pub created_at: String,
    /// When its newest event was logged.
    #[schemars(with = "texts::Timestamp")]
    pub updated_at: String,
    /// The turn that the next one follows.
    #[schemars(with = "Option<texts::Id>")]
    pub head_turn_id: Option<String>,
    /// The last `seq` of its log.
    pub last_seq: u64,
}

/// Answer of `GET /conversations`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct ConversationPage {
    /// The conversations, newest first.
    pub conversations: Vec<ConversationSummary>,
    /// The next page's `?cursor=`; `null` at the end.
    pub next_cursor: Option<String>,
}

/// Answer of `GET /conversations/{id}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct Conversation {
    /// The conversation itself.
    #[serde(flatten)]
    pub summary: ConversationSummary,
    /// Its turns, oldest first: a tree by `parentTurnId`.
    pub turns: Vec<Turn>,
    /// The next page's `?cursor=`; `null` at the end.
    pub next_cursor: Option<String>,
}

/// One turn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct Turn {
    /// The turn's id.
    #[schemars(with = "texts::Id")]
    pub turn_id: String,
    /// The turn that it follows.
    #[schemars(with = "Option<texts::Id>")]
    pub parent_turn_id: Option<String>,
    /// The turn's progress.
    pub state: TurnState,
    /// The agent that answers.
    #[schemars(with = "texts::AgentId")]
    pub agent_id: String,
    /// Hash of that agent as it was when the turn began.
    #[schemars(with = "texts::Sha256")]
    pub agent_hash: String,
    /// The user's message.
    pub user_text: String,
    /// The answer so far.
    pub answer_text: String,
    /// The options in force.
    pub options: EffectiveOptions,
    /// The seed.
    pub seed: u64,
    /// The `seq` of its `user` event.
    pub first_seq: u64,
    /// When it began: RFC 3339, UTC, milliseconds.
    #[schemars(with = "texts::Timestamp")]
    pub created_at: String,
    /// When it ended.
    #[schemars(with = "Option<texts::Timestamp>")]
    pub ended_at: Option<String>,
}

/// The progress of a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "snake_case")]
pub enum TurnState {
    /// On disk; nothing is generated yet.
    Pending,
    /// The answer is being generated.
    Streaming,
    /// The answer is complete.
    Done,
    /// Stopped; the text generated before is kept.
    Cancelled,
    /// Ended in an error.
    Failed,
    /// Cut off by a crash or a shutdown of the server.
    Interrupted,
}

/// Answer of `GET /conversations/{id}/events`.
#[derive(Debug, Clone, Serialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct EventPage {
    /// The events as the frames that a socket would send, in order.
    #[schemars(with = "Vec<LoggedFrame>")]
    #[ts(type = "Array<ServerEvent & Envelope>")]
    pub events: Vec<Box<RawValue>>,
    /// The last `seq` of the log; more events follow while it is above that of the last event here.
    pub last_seq: u64,
}

/// The schema of a logged event's frame.
struct LoggedFrame;

impl JsonSchema for LoggedFrame {
    fn schema_name() -> Cow<'static, str> {
        "LoggedFrame".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let parts = [
            json!(generator.subschema_for::<ServerEvent>()),
            json!(generator.subschema_for::<Envelope>()),
        ];
        json_schema!({
            "description": "An event of a conversation's log, as a socket sends it.",
            "allOf": parts,
            "required": ["seq", "conversationId", "at"],
        })
    }
}

/// Answer of `GET /healthz` and `GET /health`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// Always `ok`: a process that doesn't serve sends no answer.
    pub status: String,
    /// The server's version.
    pub version: String,
    /// Changes with each start of the server.
    pub boot_id: String,
}

/// Answer of `GET /readyz`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct Readiness {
    /// Always `ready`.
    pub status: String,
    /// The default model.
    pub model: String,
}

/// Answer of `GET /models`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct ModelList {
    /// The model that answers unless an agent or a message names another.
    pub default_model: String,
    /// All models that a message may ask for, the default first, then those that the drivers' servers have.
    pub models: Vec<Model>,
}

/// One model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[ts(optional_fields)]
#[serde(rename_all = "camelCase")]
pub struct Model {
    /// The name, as in an agent's `model` and in `options.model`.
    pub model: String,
    /// The driver that runs it: `local`, `ollama` or `openai`.
    pub driver: String,
    /// True if a message may ask for it; otherwise it answers only for agents that name it.
    pub allowed: bool,
    /// True if its files are loaded, or its server has it.
    pub available: bool,
    /// True if it is in memory; absent if that is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loaded: Option<bool>,
    /// Why it isn't available.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Answer of `GET /conversations/{id}/prompt?turn=`: the prompt that the model saw for one turn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct Prompt {
    /// The conversation.
    #[schemars(with = "texts::Id")]
    pub conversation_id: String,
    /// The turn.
    #[schemars(with = "texts::Id")]
    pub turn_id: String,
    /// Fingerprint of the model that answered; `null` if no answer was started.
    pub model: Option<String>,
    /// True if that model is loaded now. Otherwise the ids are the loaded model's rendering of the same text.
    pub same_model: bool,
    /// The turn's own segment: its message, with the template's text around it.
    pub segment: PromptPart,
    /// The first turn of the epoch: replaying from there rebuilds the whole prompt.
    #[schemars(with = "Option<texts::Id>")]
    pub epoch_turn_id: Option<String>,
    /// Which tokens of the epoch's prompt are in view when the answer begins.
    pub window: PromptWindow,
    /// The parts of the whole prompt, without their text.
    pub parts: Vec<PromptPart>,
    /// sha256 of the epoch's prompt as text up to the answer, hexadecimal.
    #[schemars(with = "texts::Sha256")]
    pub text_sha256: String,
    /// sha256 of its token ids, each as 4 bytes little endian, hexadecimal.
    #[schemars(with = "texts::Sha256")]
    pub ids_sha256: String,
    /// The agent as the turn saw it.
    pub agent: Agent,
}

/// One part of a prompt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[ts(optional_fields)]
#[serde(rename_all = "camelCase")]
pub struct PromptPart {
    /// The content of the part.
    pub kind: PromptPartKind,
    /// The turn; absent for the system part.
    #[schemars(with = "Option<texts::Id>")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn_id: Option<String>,
    /// Index of the first token in the epoch's prompt.
    pub start: u64,
    /// Index after the last token.
    pub end: u64,
    /// The text, special tokens spelled out; only for the requested turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The token ids; only for the requested turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ids: Option<Vec<u32>>,
}

/// The content of a [`PromptPart`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "snake_case")]
pub enum PromptPartKind {
    /// The system part, which is never evicted.
    System,
    /// A user's message.
    User,
    /// An answer.
    Assistant,
    /// The output of a tool.
    Tool,
}

/// Which tokens of a prompt are in view: the sinks, and `start..end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct PromptWindow {
    /// Tokens at the beginning that are never evicted: at least the system part.
    pub sink_tokens: u64,
    /// Index of the window's first token.
    pub start: u64,
    /// Index after its last token: the prompt's length.
    pub end: u64,
}
