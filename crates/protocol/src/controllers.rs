//! What is said over HTTP to and of controllers: their registration, and the events that they publish.

use serde::{Deserialize, Serialize};

#[cfg(any(test, feature = "schema"))]
use crate::schema;
use crate::whole::Whole;
use crate::{
    Narration, ProtocolError, ServerEvent, Step, Summary, Tool, ToolOutput, check_conversation_id, check_turn_id,
    object, object::Object,
};

/// Events that one call may publish: a burst of an agent's steps, and little enough for one commit.
const MAX_EVENTS: usize = 64;

/// Body of `POST /controllers`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    any(test, feature = "schema"),
    derive(schemars::JsonSchema, ts_rs::TS),
    ts(optional_fields)
)]
#[serde(rename_all = "camelCase")]
pub struct ControllerRegistration {
    /// The agent that the controller speaks for.
    #[cfg_attr(any(test, feature = "schema"), schemars(with = "schema::SpokenFor"))]
    pub agent_id: String,
    /// Its workspace; every workspace when absent.
    #[cfg_attr(any(test, feature = "schema"), schemars(with = "Option<schema::WorkspaceId>"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace_id: Option<String>,
    /// How long the lease lasts unless it is kept alive, in seconds: 1 to 3,600; 60 when absent.
    #[cfg_attr(any(test, feature = "schema"), schemars(range(min = 1, max = 3_600)))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_seconds: Option<u64>,
}

impl ControllerRegistration {
    /// Reads a body.
    ///
    /// # Errors
    /// [`ProtocolError`] naming the field that is missing, repeated or of the wrong type.
    pub fn parse(body: &[u8]) -> Result<Self, ProtocolError> {
        let sent: SentRegistration = object::read(body)?;
        Ok(Self {
            agent_id: sent.agent_id,
            workspace_id: sent.workspace_id,
            ttl_seconds: sent.ttl_seconds.map(|ttl| ttl.0),
        })
    }
}

/// [`ControllerRegistration`] as it is read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SentRegistration {
    agent_id: String,
    #[serde(default)]
    workspace_id: Option<String>,
    #[serde(default)]
    ttl_seconds: Option<Whole>,
}

/// Answer of `POST /controllers`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema, ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct ControllerLease {
    /// Names the registration in paths.
    #[cfg_attr(any(test, feature = "schema"), schemars(with = "schema::RegistrationId"))]
    pub registration_id: String,
    /// Shown as `X-Controller-Token` by its holder. It is told only here.
    pub token: String,
    /// When the lease ends: RFC 3339, UTC, milliseconds.
    #[cfg_attr(any(test, feature = "schema"), schemars(with = "schema::Timestamp"))]
    pub expires_at: String,
}

/// Answer of `PUT /controllers/{id}/keepalive`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema, ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct ControllerKeptAlive {
    /// The registration.
    #[cfg_attr(any(test, feature = "schema"), schemars(with = "schema::RegistrationId"))]
    pub registration_id: String,
    /// When the lease ends now.
    #[cfg_attr(any(test, feature = "schema"), schemars(with = "schema::Timestamp"))]
    pub expires_at: String,
}

/// Answer of `GET /controllers`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema, ts_rs::TS))]
pub struct ControllerList {
    /// Those whose lease lives, by agent and workspace.
    pub controllers: Vec<Controller>,
}

/// A controller whose lease lives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    any(test, feature = "schema"),
    derive(schemars::JsonSchema, ts_rs::TS),
    ts(optional_fields)
)]
#[serde(rename_all = "camelCase")]
pub struct Controller {
    /// The registration; absent for the server's own lease, which gives way to any other.
    #[cfg_attr(any(test, feature = "schema"), schemars(with = "Option<schema::RegistrationId>"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registration_id: Option<String>,
    /// The agent.
    #[cfg_attr(any(test, feature = "schema"), schemars(with = "schema::SpokenFor"))]
    pub agent_id: String,
    /// Its workspace; absent for all of them.
    #[cfg_attr(any(test, feature = "schema"), schemars(with = "Option<schema::WorkspaceId>"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace_id: Option<String>,
    /// When the lease ends; absent for the server's own, which doesn't.
    #[cfg_attr(any(test, feature = "schema"), schemars(with = "Option<schema::Timestamp>"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
}

/// Body of `POST /controllers/{id}/events`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(
    any(test, feature = "schema"),
    derive(schemars::JsonSchema, ts_rs::TS),
    ts(optional_fields)
)]
#[serde(rename_all = "camelCase")]
pub struct ControllerEvents {
    /// The conversation; made when it is new.
    #[cfg_attr(any(test, feature = "schema"), schemars(with = "schema::Id"))]
    pub conversation_id: String,
    /// The turn that the events are about, also one that is over.
    #[cfg_attr(any(test, feature = "schema"), schemars(with = "Option<schema::Id>"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn_id: Option<String>,
    /// 1 to 64 of them, in order. All are logged, or none.
    #[cfg_attr(any(test, feature = "schema"), schemars(length(min = 1, max = MAX_EVENTS)))]
    pub events: Vec<ControllerEvent>,
}

impl ControllerEvents {
    /// Reads a body.
    ///
    /// # Errors
    /// [`ProtocolError`] naming the field that is missing, repeated or wrong.
    pub fn parse(body: &[u8]) -> Result<Self, ProtocolError> {
        let SentEvents {
            conversation_id,
            turn_id,
            events,
        } = object::read(body)?;
        let parsed = Self {
            conversation_id,
            turn_id,
            events: events.into_iter().map(|event| event.0).collect(),
        };
        check_conversation_id(&parsed.conversation_id)?;
        parsed.turn_id.as_deref().map_or(Ok(()), check_turn_id)?;
        if (1..=MAX_EVENTS).contains(&parsed.events.len()) {
            return Ok(parsed);
        }
        Err(ProtocolError::WrongValue {
            key: "events",
            expected: format!("1 to {MAX_EVENTS} events"),
            found: parsed.events.len().to_string(),
        })
    }
}

/// [`ControllerEvents`] as they are read: each event is an object, too.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SentEvents {
    conversation_id: String,
    #[serde(default)]
    turn_id: Option<String>,
    events: Vec<Object<ControllerEvent>>,
}

/// What a controller may publish; as the [`ServerEvent`] of the same name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema, ts_rs::TS))]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum ControllerEvent {
    /// A step begins.
    StepStart(Step),
    /// A step goes on.
    Step(Step),
    /// A step is over.
    StepFinish(Step),
    /// A tool is asked for.
    Tool(Tool),
    /// What a tool gave.
    ToolOutput(ToolOutput),
    /// What has happened so far.
    Summary(Summary),
    /// A remark.
    Narration(Narration),
}

impl From<ControllerEvent> for ServerEvent {
    fn from(event: ControllerEvent) -> Self {
        match event {
            ControllerEvent::StepStart(own) => Self::StepStart(own),
            ControllerEvent::Step(own) => Self::Step(own),
            ControllerEvent::StepFinish(own) => Self::StepFinish(own),
            ControllerEvent::Tool(own) => Self::Tool(own),
            ControllerEvent::ToolOutput(own) => Self::ToolOutput(own),
            ControllerEvent::Summary(own) => Self::Summary(own),
            ControllerEvent::Narration(own) => Self::Narration(own),
        }
    }
}

/// Answer of `POST /controllers/{id}/events`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema, ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct ControllerPublished {
    /// The first event's number in the conversation's log.
    pub first_seq: u64,
    /// The last one's.
    pub last_seq: u64,
}
