//! The HTTP bodies of the narrator: a message to it, its feed, and the error of its relay.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

use crate::texts;
use crate::{ErrorCode, NarrationSource, ProtocolError, object};

/// Body of `POST /narrator/messages`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema, TS)]
#[ts(optional_fields)]
#[serde(rename_all = "camelCase")]
pub struct NarratorMessage {
    /// The workspace; equals the path's if both name one.
    #[schemars(with = "Option<texts::WorkspaceId>")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace_id: Option<String>,
    /// The message to the narrator; not blank.
    #[schemars(with = "Option<texts::Words>")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The conversation that receives the narration; the workspace's own if absent.
    #[schemars(with = "Option<texts::Id>")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation_id: Option<String>,
    /// The agent that answers; `controller` if absent.
    #[schemars(with = "Option<texts::SpokenFor>")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<String>,
}

impl NarratorMessage {
    /// Parses a body.
    ///
    /// # Errors
    /// [`ProtocolError`] naming the field that is repeated or of the wrong type.
    pub fn parse(body: &[u8]) -> Result<Self, ProtocolError> {
        object::read(body)
    }
}

/// Answer of `POST /narrator/messages`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct NarratorAccepted {
    /// The workspace.
    #[schemars(with = "texts::WorkspaceId")]
    pub workspace_id: String,
    /// The conversation that receives the narration.
    #[schemars(with = "texts::Id")]
    pub conversation_id: String,
    /// The id of the message's line in the narrator's log.
    pub event_id: String,
    /// The id of the task that answers the message; all its lines in the log have this id.
    pub task_id: String,
}

/// Answer of `GET /narrator/feed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[ts(optional_fields)]
#[serde(rename_all = "camelCase")]
pub struct NarratorFeed {
    /// The workspace.
    #[schemars(with = "texts::WorkspaceId")]
    pub workspace_id: String,
    /// The requested conversation, or the workspace's own.
    #[schemars(with = "texts::Id")]
    pub conversation_id: String,
    /// The name of the document with the workspace's summary; absent until there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary_ref: Option<String>,
    /// The entries, newest first.
    pub events: Vec<FeedEvent>,
}

/// One entry of a [`NarratorFeed`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[ts(optional_fields)]
#[serde(rename_all = "camelCase")]
pub struct FeedEvent {
    /// The id of its line in the narrator's log.
    pub id: String,
    /// When it happened: RFC 3339, UTC, milliseconds.
    #[schemars(with = "texts::Timestamp")]
    pub timestamp: String,
    /// What the entry reports.
    #[serde(rename = "type")]
    pub kind: FeedEventType,
    /// A short form of the text.
    pub headline: String,
    /// The whole text.
    pub detail: String,
    /// How serious the entry is.
    pub severity: FeedSeverity,
    /// The author.
    pub source: NarrationSource,
    /// The playbook that the narration follows, if the relay named one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub playbook_id: Option<String>,
}

/// What a [`FeedEvent`] reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "kebab-case")]
pub enum FeedEventType {
    /// A narration, or a message to the narrator (`source` is then `user`).
    Narration,
    /// The progress of an agent.
    AgentUpdate,
    /// A result of an agent.
    AgentResult,
    /// A narration that was logged but not published.
    Suppressed,
    /// A new version of the summary.
    Summary,
    /// A failure.
    Error,
}

/// How serious a [`FeedEvent`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "snake_case")]
pub enum FeedSeverity {
    /// As expected.
    Info,
    /// Unexpected, but no failure.
    Warning,
    /// A failure.
    Error,
}

/// Body of a relay's error: an [`ErrorBody`](crate::ErrorBody) with the code as `error` too, for the host application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct RelayErrorBody {
    /// `relay_failed` or `relay_timeout`.
    pub error: ErrorCode,
    /// In words, for people.
    pub detail: String,
    /// The same as `error`.
    pub code: ErrorCode,
}

impl RelayErrorBody {
    /// Creates a body with one code under both names.
    #[must_use]
    pub fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        Self {
            error: code,
            detail: detail.into(),
            code,
        }
    }
}
