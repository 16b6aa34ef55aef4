//! What is said over HTTP to and of the narrator: a message to it, its feed, and why a relay failed.

use serde::{Deserialize, Serialize};

#[cfg(any(test, feature = "schema"))]
use crate::schema;
use crate::{ErrorCode, NarrationSource, ProtocolError, object};

/// Body of `POST /narrator/messages`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(
    any(test, feature = "schema"),
    derive(schemars::JsonSchema, ts_rs::TS),
    ts(optional_fields)
)]
#[serde(rename_all = "camelCase")]
pub struct NarratorMessage {
    /// The workspace; equals the path's when both name one.
    #[cfg_attr(any(test, feature = "schema"), schemars(with = "Option<schema::WorkspaceId>"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace_id: Option<String>,
    /// What is said to the narrator; not blank.
    #[cfg_attr(any(test, feature = "schema"), schemars(with = "Option<schema::Words>"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Where the narration goes; the workspace's own conversation when absent.
    #[cfg_attr(any(test, feature = "schema"), schemars(with = "Option<schema::Id>"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation_id: Option<String>,
    /// The agent that is asked; `controller` when absent.
    #[cfg_attr(any(test, feature = "schema"), schemars(with = "Option<schema::SpokenFor>"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<String>,
}

impl NarratorMessage {
    /// Reads a body.
    ///
    /// # Errors
    /// [`ProtocolError`] naming the field that is repeated or of the wrong type.
    pub fn parse(body: &[u8]) -> Result<Self, ProtocolError> {
        object::read(body)
    }
}

/// Answer of `POST /narrator/messages`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema, ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct NarratorAccepted {
    /// The workspace.
    #[cfg_attr(any(test, feature = "schema"), schemars(with = "schema::WorkspaceId"))]
    pub workspace_id: String,
    /// The conversation whose readers get the narration.
    #[cfg_attr(any(test, feature = "schema"), schemars(with = "schema::Id"))]
    pub conversation_id: String,
    /// The message's own line in the narrator's log.
    pub event_id: String,
    /// The work on it: every line of the log that comes of it has this id.
    pub task_id: String,
}

/// Answer of `GET /narrator/feed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    any(test, feature = "schema"),
    derive(schemars::JsonSchema, ts_rs::TS),
    ts(optional_fields)
)]
#[serde(rename_all = "camelCase")]
pub struct NarratorFeed {
    /// The workspace.
    #[cfg_attr(any(test, feature = "schema"), schemars(with = "schema::WorkspaceId"))]
    pub workspace_id: String,
    /// The conversation that was asked for, or the workspace's own.
    #[cfg_attr(any(test, feature = "schema"), schemars(with = "schema::Id"))]
    pub conversation_id: String,
    /// Names the document with the workspace's summary, once there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary_ref: Option<String>,
    /// The newest first.
    pub events: Vec<FeedEvent>,
}

/// One entry of a [`NarratorFeed`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    any(test, feature = "schema"),
    derive(schemars::JsonSchema, ts_rs::TS),
    ts(optional_fields)
)]
#[serde(rename_all = "camelCase")]
pub struct FeedEvent {
    /// Its id.
    pub id: String,
    /// When it happened: RFC 3339, UTC, milliseconds.
    #[cfg_attr(any(test, feature = "schema"), schemars(with = "schema::Timestamp"))]
    pub timestamp: String,
    /// What it is.
    #[serde(rename = "type")]
    pub kind: FeedEventType,
    /// In a few words.
    pub headline: String,
    /// In full.
    pub detail: String,
    /// How much it matters.
    pub severity: FeedSeverity,
    /// Who says it.
    pub source: NarrationSource,
    /// The playbook that it follows, where the relay named one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub playbook_id: Option<String>,
}

/// What a [`FeedEvent`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema, ts_rs::TS))]
#[serde(rename_all = "kebab-case")]
pub enum FeedEventType {
    /// Something was said: by the narrator, or to it (`source` is then `user`).
    Narration,
    /// An agent goes on.
    AgentUpdate,
    /// An agent has something to show.
    AgentResult,
    /// Something that the narrator would have said.
    Suppressed,
    /// The summary was written anew.
    Summary,
    /// Something failed.
    Error,
}

/// How much a [`FeedEvent`] matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema, ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum FeedSeverity {
    /// As expected.
    Info,
    /// Worth a look.
    Warning,
    /// A fault.
    Error,
}

/// Body of an error of the relay: an [`ErrorBody`](crate::ErrorBody) that says the code as `error` too, as the host application reads it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema, ts_rs::TS))]
pub struct RelayErrorBody {
    /// `relay_failed` or `relay_timeout`.
    pub error: ErrorCode,
    /// In words, for people.
    pub detail: String,
    /// As `error`.
    pub code: ErrorCode,
}

impl RelayErrorBody {
    /// A body that says one code under both names.
    #[must_use]
    pub fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        Self {
            error: code,
            detail: detail.into(),
            code,
        }
    }
}
