//! The frames that a client may send on the socket.

mod reading;

use std::fmt;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use ts_rs::TS;

use crate::error::shortened;
use crate::fields::Fields;
use crate::keys::{self, FRAME, SUBJECT};
use crate::texts;
use crate::{Envelope, OptionsPatch, ProtocolError, ToolDefinition};

/// One text frame from a client.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema, TS)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum ClientMessage {
    /// Authenticates and binds the socket.
    Hello(Hello),
    /// Starts a user's turn.
    Message(Message),
    /// Answers a user's message once more.
    Regenerate(Regenerate),
    /// Cancels turns, and keeps the socket open.
    Cancel(Cancel),
    /// Reads a conversation's log, then follows it.
    Resume(Resume),
    /// Stops reading a conversation.
    Leave(Leave),
    /// Answers a `tool` event.
    ToolOutput(ToolAnswer),
    /// Asks for a `pong`.
    Ping(Ping),
}

/// The first frame of a socket, if it isn't a message.
#[derive(Debug, Clone, PartialEq, Default, Serialize, JsonSchema, TS)]
#[ts(optional_fields)]
#[schemars(transform = keys::add_frame_spellings)]
#[serde(rename_all = "camelCase")]
pub struct Hello {
    /// The agent that answers messages without an agent.
    #[schemars(with = "Option<texts::AgentId>")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<String>,
    /// The conversation of messages without a conversation.
    #[schemars(with = "Option<texts::Id>")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversation_id: Option<String>,
    /// Options of all messages, which each message's own options override.
    #[schemars(with = "Option<OptionsPatch>", skip_serializing_if = "Option::is_none")]
    #[ts(as = "Option<OptionsPatch>")]
    pub options: OptionsPatch,
    /// The API key, if the server requires one.
    #[schemars(with = "Option<String>")]
    #[ts(as = "Option<String>")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_key: Option<ApiKey>,
}

/// Starts a user's turn. As the first frame of a socket it is also its hello.
#[derive(Debug, Clone, PartialEq, Default, Serialize, JsonSchema, TS)]
#[ts(optional_fields)]
#[schemars(transform = keys::add_frame_spellings)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    /// The user's text.
    #[schemars(with = "texts::Words")]
    pub message: String,
    /// The agent that answers.
    #[schemars(with = "Option<texts::AgentId>")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<String>,
    /// The conversation; a new one if neither this nor the hello names one.
    #[schemars(with = "Option<texts::Id>")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversation_id: Option<String>,
    /// Options of this turn.
    #[schemars(with = "Option<OptionsPatch>", skip_serializing_if = "Option::is_none")]
    #[ts(as = "Option<OptionsPatch>")]
    pub options: OptionsPatch,
    /// The turn's id, chosen by the client: sent again, it joins the turn instead of starting another.
    #[schemars(with = "Option<texts::Id>")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub turn_id: Option<String>,
    /// The turn that this one follows; by default the conversation's head.
    #[schemars(with = "Option<texts::Id>")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_turn_id: Option<String>,
    /// The turn of which this one is a sibling, with another text; excludes `parentTurnId`.
    #[schemars(with = "Option<texts::Id>")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub edit_turn_id: Option<String>,
    /// Tools that the model may call in this turn, in place of the agent's.
    #[schemars(length(max = crate::tool::MAX_TOOLS), extend("uniqueItems" = true))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tools: Option<Vec<ToolDefinition>>,
    /// The API key, if the server requires one and this is the first frame.
    #[schemars(with = "Option<String>")]
    #[ts(as = "Option<String>")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_key: Option<ApiKey>,
}

/// Answers a user's message once more, in a sibling of its turn.
#[derive(Debug, Clone, PartialEq, Default, Serialize, JsonSchema, TS)]
#[ts(optional_fields)]
#[schemars(transform = keys::add_frame_spellings)]
#[serde(rename_all = "camelCase")]
pub struct Regenerate {
    /// The turn whose message is answered once more.
    #[schemars(with = "texts::Id")]
    pub turn_id: String,
    /// The turn's conversation; by default the socket's current one.
    #[schemars(with = "Option<texts::Id>")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversation_id: Option<String>,
    /// The new turn's id, chosen by the client: sent again, it joins that turn.
    #[schemars(with = "Option<texts::Id>")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_turn_id: Option<String>,
    /// Options of the new turn, as in a message.
    #[schemars(with = "Option<OptionsPatch>", skip_serializing_if = "Option::is_none")]
    #[ts(as = "Option<OptionsPatch>")]
    pub options: OptionsPatch,
    /// Tools of the new turn, as in a message.
    #[schemars(length(max = crate::tool::MAX_TOOLS), extend("uniqueItems" = true))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tools: Option<Vec<ToolDefinition>>,
    /// The API key, if the server requires one and this is the first frame.
    #[schemars(with = "Option<String>")]
    #[ts(as = "Option<String>")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_key: Option<ApiKey>,
}

/// Answers a `tool` event.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema, TS)]
#[ts(optional_fields)]
#[schemars(transform = keys::add_frame_spellings)]
#[serde(rename_all = "camelCase")]
pub struct ToolAnswer {
    /// The turn of the call.
    #[schemars(with = "texts::Id")]
    pub turn_id: String,
    /// The call that this answers.
    pub call_id: String,
    /// The tool's output: any JSON value, also `null`.
    #[ts(type = "unknown")]
    pub output: Value,
    /// The turn's conversation; by default the socket's current one.
    #[schemars(with = "Option<texts::Id>")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversation_id: Option<String>,
}

/// Cancels turns.
#[derive(Debug, Clone, PartialEq, Default, Serialize, JsonSchema, TS)]
#[ts(optional_fields)]
#[schemars(transform = keys::add_frame_spellings)]
#[serde(rename_all = "camelCase")]
pub struct Cancel {
    /// The turn; all turns that the socket owns if absent.
    #[schemars(with = "Option<texts::Id>")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub turn_id: Option<String>,
    /// The turn's conversation; by default the socket's current one.
    #[schemars(with = "Option<texts::Id>")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversation_id: Option<String>,
}

/// Reads a conversation's log, then follows it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, JsonSchema, TS)]
#[ts(optional_fields)]
#[schemars(transform = keys::add_frame_spellings)]
#[serde(rename_all = "camelCase")]
pub struct Resume {
    /// The conversation.
    #[schemars(with = "texts::Id")]
    pub conversation_id: String,
    /// The last `seq` that the client has; only later events are sent. Absent: only new events.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
    /// True to own the turns that run in the conversation.
    #[schemars(with = "Option<bool>", skip_serializing_if = "Option::is_none")]
    #[ts(as = "Option<bool>")]
    pub own: bool,
    /// The API key, if the server requires one and this is the first frame.
    #[schemars(with = "Option<String>")]
    #[ts(as = "Option<String>")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_key: Option<ApiKey>,
}

/// Stops reading a conversation's log.
#[derive(Debug, Clone, PartialEq, Default, Serialize, JsonSchema, TS)]
#[schemars(transform = keys::add_frame_spellings)]
#[serde(rename_all = "camelCase")]
pub struct Leave {
    /// The conversation.
    #[schemars(with = "texts::Id")]
    pub conversation_id: String,
}

/// Asks for a `pong`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, JsonSchema, TS)]
#[ts(optional_fields)]
#[serde(rename_all = "camelCase")]
pub struct Ping {
    /// Returned in the `pong`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

/// An API key, which its `Debug` output hides.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct ApiKey(String);

impl ApiKey {
    /// Wraps a key as it was sent.
    #[must_use]
    pub fn new(key: String) -> Self {
        Self(key)
    }

    /// Returns the key itself, to be compared in constant time.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ApiKey(…)")
    }
}

impl Message {
    /// Parses the body of an HTTP request: a message's keys, in either spelling.
    ///
    /// # Errors
    /// [`ProtocolError`] naming the key or option that is wrong.
    pub fn parse(body: &[u8]) -> Result<Self, ProtocolError> {
        reading::message(&Fields::parse(reading::text_of(body)?, &FRAME)?)
    }
}

impl Regenerate {
    /// Parses the body of an HTTP request whose path names the turn: the frame's other keys, in either spelling. An
    /// empty body is the same as `{}`.
    ///
    /// # Errors
    /// [`ProtocolError`] naming the key or option that is wrong.
    pub fn parse(body: &[u8], turn_id: &str) -> Result<Self, ProtocolError> {
        let text = if body.is_empty() { "{}" } else { reading::text_of(body)? };
        reading::regenerate(&Fields::parse(text, &FRAME)?, Some(turn_id))
    }
}

impl ClientMessage {
    /// Parses one text frame, with its keys in either spelling.
    ///
    /// Without a `type`, a frame with the key `message` is a message, and any other one a hello. Unknown keys are
    /// ignored.
    ///
    /// # Errors
    /// [`ProtocolError`] naming the key, type or option that is wrong.
    pub fn parse(text: &str) -> Result<Self, ProtocolError> {
        let fields = Fields::parse(text, &FRAME)?;
        let sent = fields.string("type")?;
        let implied = if fields.get("message").is_some() {
            "message"
        } else {
            "hello"
        };
        match sent.as_deref().unwrap_or(implied) {
            "hello" => reading::hello(&fields).map(Self::Hello),
            "message" => reading::message(&fields).map(Self::Message),
            "regenerate" => reading::regenerate(&fields, None).map(Self::Regenerate),
            "cancel" => reading::cancel(&fields).map(Self::Cancel),
            "resume" => reading::resume(&fields).map(Self::Resume),
            "leave" => reading::leave(&fields).map(Self::Leave),
            "tool-output" => reading::tool_answer(&fields).map(Self::ToolOutput),
            "ping" => reading::ping(&fields).map(Self::Ping),
            unknown => Err(ProtocolError::UnknownType {
                name: shortened(unknown),
            }),
        }
    }

    /// Returns the turn and the conversation that a frame names, also of one that [`ClientMessage::parse`] refuses, so
    /// that its error can name them too. Of a `regenerate` it returns the new turn. What can't be parsed, or isn't an
    /// id, is left out.
    #[must_use]
    pub fn subject(text: &str) -> Envelope {
        let Ok(fields) = Fields::parse(text, &SUBJECT) else {
            return Envelope::default();
        };
        let begins_another = matches!(fields.string("type"), Ok(Some(name)) if name == "regenerate");
        let new_turn_id = fields.id("newTurnId").ok().flatten().filter(|_| begins_another);
        Envelope {
            conversation_id: fields.id("conversationId").ok().flatten(),
            turn_id: new_turn_id.or_else(|| fields.id("turnId").ok().flatten()),
            ..Envelope::default()
        }
    }
}
