//! The HTTP bodies of controllers: their registration, and the events that they publish.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

use crate::texts;
use crate::whole::Whole;
use crate::{
    Narration, ProtocolError, ServerEvent, Step, Summary, Tool, ToolOutput, check_conversation_id, check_turn_id,
    object, object::Object,
};

/// Most events in one call: a burst of an agent's steps, and few enough for one commit.
const MAX_EVENTS: usize = 64;

/// Body of `POST /controllers`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[ts(optional_fields)]
#[serde(rename_all = "camelCase")]
pub struct ControllerRegistration {
    /// The agent that the controller publishes for.
    #[schemars(with = "texts::SpokenFor")]
    pub agent_id: String,
    /// The agent's workspace; every workspace if absent.
    #[schemars(with = "Option<texts::WorkspaceId>")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace_id: Option<String>,
    /// Duration of the lease unless it is kept alive, in seconds: 1 to 3,600; 60 if absent.
    #[schemars(range(min = 1, max = 3_600))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_seconds: Option<u64>,
}

impl ControllerRegistration {
    /// Parses a body.
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

/// [`ControllerRegistration`] as it is parsed.
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct ControllerLease {
    /// Identifies the registration in paths.
    #[schemars(with = "texts::RegistrationId")]
    pub registration_id: String,
    /// The holder's secret, sent as `X-Controller-Token`. Returned only here.
    pub token: String,
    /// When the lease ends: RFC 3339, UTC, milliseconds.
    #[schemars(with = "texts::Timestamp")]
    pub expires_at: String,
}

/// Answer of `PUT /controllers/{id}/keepalive`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct ControllerKeptAlive {
    /// The registration.
    #[schemars(with = "texts::RegistrationId")]
    pub registration_id: String,
    /// The lease's new end: RFC 3339, UTC, milliseconds.
    #[schemars(with = "texts::Timestamp")]
    pub expires_at: String,
}

/// Answer of `GET /controllers`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct ControllerList {
    /// Controllers with an active lease, by agent and workspace.
    pub controllers: Vec<Controller>,
}

/// A controller with an active lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[ts(optional_fields)]
#[serde(rename_all = "camelCase")]
pub struct Controller {
    /// The registration; absent for the server's own lease, which any other replaces.
    #[schemars(with = "Option<texts::RegistrationId>")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registration_id: Option<String>,
    /// The agent.
    #[schemars(with = "texts::SpokenFor")]
    pub agent_id: String,
    /// The agent's workspace; absent for all of them.
    #[schemars(with = "Option<texts::WorkspaceId>")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace_id: Option<String>,
    /// When the lease ends; absent for the server's own, which doesn't end.
    #[schemars(with = "Option<texts::Timestamp>")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
}

/// Body of `POST /controllers/{id}/events`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, TS)]
#[ts(optional_fields)]
#[serde(rename_all = "camelCase")]
pub struct ControllerEvents {
    /// The conversation, which is created if it is new.
    #[schemars(with = "texts::Id")]
    pub conversation_id: String,
    /// The turn that the events belong to, which may be over.
    #[schemars(with = "Option<texts::Id>")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn_id: Option<String>,
    /// 1 to 64 events, in order. All are logged, or none.
    #[schemars(length(min = 1, max = MAX_EVENTS))]
    pub events: Vec<ControllerEvent>,
}

impl ControllerEvents {
    /// Parses a body.
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

/// [`ControllerEvents`] as they are parsed: each event must be an object, too.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SentEvents {
    conversation_id: String,
    #[serde(default)]
    turn_id: Option<String>,
    events: Vec<Object<ControllerEvent>>,
}

/// An event that a controller may publish; the same as the [`ServerEvent`] of that name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum ControllerEvent {
    /// A step begins.
    StepStart(Step),
    /// A step goes on.
    Step(Step),
    /// A step is over.
    StepFinish(Step),
    /// A tool is called.
    Tool(Tool),
    /// The output of a tool.
    ToolOutput(ToolOutput),
    /// A summary of what has happened so far.
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct ControllerPublished {
    /// The first event's `seq` in the conversation's log.
    pub first_seq: u64,
    /// The last event's `seq`.
    pub last_seq: u64,
}
