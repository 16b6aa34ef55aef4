//! What a client may say on the socket.

pub(crate) mod reading;

use std::fmt;

use serde::Serialize;
use serde_json::Value;

use self::reading::{FRAME, SUBJECT};
use crate::error::shortened;
use crate::fields::Fields;
#[cfg(any(test, feature = "schema"))]
use crate::schema;
use crate::{Envelope, OptionsPatch, ProtocolError, ToolDefinition};

/// One text frame from a client.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema, ts_rs::TS))]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum ClientMessage {
    /// Checks and binds the socket.
    Hello(Hello),
    /// A user's turn.
    Message(Message),
    /// Answers a user's words once more.
    Regenerate(Regenerate),
    /// Stops answers, keeps the socket.
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

/// The first frame of a socket, without a message.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[cfg_attr(
    any(test, feature = "schema"),
    derive(schemars::JsonSchema, ts_rs::TS),
    ts(optional_fields)
)]
#[cfg_attr(any(test, feature = "schema"), schemars(transform = schema::frame_spellings))]
#[serde(rename_all = "camelCase")]
pub struct Hello {
    /// The agent that answers messages which name none.
    #[cfg_attr(any(test, feature = "schema"), schemars(with = "Option<schema::AgentId>"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<String>,
    /// The conversation of messages which name none.
    #[cfg_attr(any(test, feature = "schema"), schemars(with = "Option<schema::Id>"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversation_id: Option<String>,
    /// Options under those of every message.
    #[cfg_attr(
        any(test, feature = "schema"),
        schemars(with = "Option<OptionsPatch>", skip_serializing_if = "Option::is_none"),
        ts(as = "Option<OptionsPatch>")
    )]
    pub options: OptionsPatch,
    /// The key, where one is set.
    #[cfg_attr(
        any(test, feature = "schema"),
        schemars(with = "Option<String>"),
        ts(as = "Option<String>")
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_key: Option<ApiKey>,
}

/// A user's turn. As the first frame of a socket it is its hello too.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[cfg_attr(
    any(test, feature = "schema"),
    derive(schemars::JsonSchema, ts_rs::TS),
    ts(optional_fields)
)]
#[cfg_attr(any(test, feature = "schema"), schemars(transform = schema::frame_spellings))]
#[serde(rename_all = "camelCase")]
pub struct Message {
    /// What the user says.
    #[cfg_attr(any(test, feature = "schema"), schemars(with = "schema::Words"))]
    pub message: String,
    /// The agent that answers.
    #[cfg_attr(any(test, feature = "schema"), schemars(with = "Option<schema::AgentId>"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<String>,
    /// The conversation; a new one when neither this nor the hello names one.
    #[cfg_attr(any(test, feature = "schema"), schemars(with = "Option<schema::Id>"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversation_id: Option<String>,
    /// Options of this turn.
    #[cfg_attr(
        any(test, feature = "schema"),
        schemars(with = "Option<OptionsPatch>", skip_serializing_if = "Option::is_none"),
        ts(as = "Option<OptionsPatch>")
    )]
    pub options: OptionsPatch,
    /// The client's own name for the turn: sent again, it joins the turn instead of starting another.
    #[cfg_attr(any(test, feature = "schema"), schemars(with = "Option<schema::Id>"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub turn_id: Option<String>,
    /// The turn that this one follows; the conversation's newest by default.
    #[cfg_attr(any(test, feature = "schema"), schemars(with = "Option<schema::Id>"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_turn_id: Option<String>,
    /// The turn that this one stands beside, with another text; in place of `parentTurnId`.
    #[cfg_attr(any(test, feature = "schema"), schemars(with = "Option<schema::Id>"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub edit_turn_id: Option<String>,
    /// Tools that the model may ask for in this turn, in place of the agent's.
    #[cfg_attr(any(test, feature = "schema"), schemars(length(max = crate::tool::MAX_TOOLS), extend("uniqueItems" = true)))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tools: Option<Vec<ToolDefinition>>,
    /// The key, where one is set and this is the first frame.
    #[cfg_attr(
        any(test, feature = "schema"),
        schemars(with = "Option<String>"),
        ts(as = "Option<String>")
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_key: Option<ApiKey>,
}

/// Answers a user's words once more: a sibling of a turn, with the same text.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[cfg_attr(
    any(test, feature = "schema"),
    derive(schemars::JsonSchema, ts_rs::TS),
    ts(optional_fields)
)]
#[cfg_attr(any(test, feature = "schema"), schemars(transform = schema::frame_spellings))]
#[serde(rename_all = "camelCase")]
pub struct Regenerate {
    /// The turn whose words are answered once more.
    #[cfg_attr(any(test, feature = "schema"), schemars(with = "schema::Id"))]
    pub turn_id: String,
    /// The turn's conversation; the socket's current one by default.
    #[cfg_attr(any(test, feature = "schema"), schemars(with = "Option<schema::Id>"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversation_id: Option<String>,
    /// The client's own name for the new turn: sent again, it joins that turn.
    #[cfg_attr(any(test, feature = "schema"), schemars(with = "Option<schema::Id>"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_turn_id: Option<String>,
    /// Options of the new turn, as those of a message.
    #[cfg_attr(
        any(test, feature = "schema"),
        schemars(with = "Option<OptionsPatch>", skip_serializing_if = "Option::is_none"),
        ts(as = "Option<OptionsPatch>")
    )]
    pub options: OptionsPatch,
    /// Tools of the new turn, as those of a message.
    #[cfg_attr(any(test, feature = "schema"), schemars(length(max = crate::tool::MAX_TOOLS), extend("uniqueItems" = true)))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tools: Option<Vec<ToolDefinition>>,
    /// The key, where one is set and this is the first frame.
    #[cfg_attr(
        any(test, feature = "schema"),
        schemars(with = "Option<String>"),
        ts(as = "Option<String>")
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_key: Option<ApiKey>,
}

/// Answers a `tool` event.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(
    any(test, feature = "schema"),
    derive(schemars::JsonSchema, ts_rs::TS),
    ts(optional_fields)
)]
#[cfg_attr(any(test, feature = "schema"), schemars(transform = schema::frame_spellings))]
#[serde(rename_all = "camelCase")]
pub struct ToolAnswer {
    /// The turn that asks.
    #[cfg_attr(any(test, feature = "schema"), schemars(with = "schema::Id"))]
    pub turn_id: String,
    /// The call that this answers.
    pub call_id: String,
    /// What the tool gave; anything, `null` too.
    #[cfg_attr(any(test, feature = "schema"), ts(type = "unknown"))]
    pub output: Value,
    /// The turn's conversation; the socket's current one by default.
    #[cfg_attr(any(test, feature = "schema"), schemars(with = "Option<schema::Id>"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversation_id: Option<String>,
}

/// Stops answers.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[cfg_attr(
    any(test, feature = "schema"),
    derive(schemars::JsonSchema, ts_rs::TS),
    ts(optional_fields)
)]
#[cfg_attr(any(test, feature = "schema"), schemars(transform = schema::frame_spellings))]
#[serde(rename_all = "camelCase")]
pub struct Cancel {
    /// The turn; all that the socket owns when none is named.
    #[cfg_attr(any(test, feature = "schema"), schemars(with = "Option<schema::Id>"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub turn_id: Option<String>,
    /// The turn's conversation; the socket's current one by default.
    #[cfg_attr(any(test, feature = "schema"), schemars(with = "Option<schema::Id>"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversation_id: Option<String>,
}

/// Reads a log.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[cfg_attr(
    any(test, feature = "schema"),
    derive(schemars::JsonSchema, ts_rs::TS),
    ts(optional_fields)
)]
#[cfg_attr(any(test, feature = "schema"), schemars(transform = schema::frame_spellings))]
#[serde(rename_all = "camelCase")]
pub struct Resume {
    /// Whose log.
    #[cfg_attr(any(test, feature = "schema"), schemars(with = "schema::Id"))]
    pub conversation_id: String,
    /// The last `seq` that was seen; from now on when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
    /// Whether to own the turns that run in it.
    #[cfg_attr(
        any(test, feature = "schema"),
        schemars(with = "Option<bool>", skip_serializing_if = "Option::is_none"),
        ts(as = "Option<bool>")
    )]
    pub own: bool,
    /// The key, where one is set and this is the first frame.
    #[cfg_attr(
        any(test, feature = "schema"),
        schemars(with = "Option<String>"),
        ts(as = "Option<String>")
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_key: Option<ApiKey>,
}

/// Stops reading a log.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema, ts_rs::TS))]
#[cfg_attr(any(test, feature = "schema"), schemars(transform = schema::frame_spellings))]
#[serde(rename_all = "camelCase")]
pub struct Leave {
    /// Whose log.
    #[cfg_attr(any(test, feature = "schema"), schemars(with = "schema::Id"))]
    pub conversation_id: String,
}

/// Asks for a `pong`.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[cfg_attr(
    any(test, feature = "schema"),
    derive(schemars::JsonSchema, ts_rs::TS),
    ts(optional_fields)
)]
#[serde(rename_all = "camelCase")]
pub struct Ping {
    /// Comes back in the `pong`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

/// A key, which no log may show.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct ApiKey(String);

impl ApiKey {
    /// Takes a key as it was sent.
    #[must_use]
    pub fn new(key: String) -> Self {
        Self(key)
    }

    /// The key itself, to be compared in constant time.
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
    /// Reads the body of an HTTP request: a message's keys, in either spelling.
    ///
    /// # Errors
    /// [`ProtocolError`] naming the key or option that is wrong.
    pub fn parse(body: &[u8]) -> Result<Self, ProtocolError> {
        reading::message(&Fields::parse(reading::text_of(body)?, &FRAME)?)
    }
}

impl Regenerate {
    /// Reads the body of an HTTP request whose path names the turn: the frame's other keys, in either spelling. No body is the
    /// same as `{}`.
    ///
    /// # Errors
    /// [`ProtocolError`] naming the key or option that is wrong.
    pub fn parse(body: &[u8], turn_id: &str) -> Result<Self, ProtocolError> {
        let text = if body.is_empty() { "{}" } else { reading::text_of(body)? };
        reading::regenerate(&Fields::parse(text, &FRAME)?, Some(turn_id))
    }
}

impl ClientMessage {
    /// Reads one text frame, with its keys in either spelling.
    ///
    /// Without a `type` it is a message when it has one, and a hello otherwise. Keys that no frame has are ignored.
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

    /// The turn and conversation that a frame names, also one that [`ClientMessage::parse`] refuses, so that its error can name
    /// them too; of a `regenerate`, the turn that would be new. Nothing that can't be read, or isn't an id, is named.
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
