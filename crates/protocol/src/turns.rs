//! What is said over HTTP to begin turns, to stop and answer them, and to switch between them.

use serde::{Deserialize, Serialize};
use serde_json::Value;

#[cfg(any(test, feature = "schema"))]
use crate::schema;
use crate::{ProtocolError, check_turn_id, object};

/// Answer of `POST /conversations/{id}/turns`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema, ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct TurnAccepted {
    /// The conversation.
    #[cfg_attr(any(test, feature = "schema"), schemars(with = "schema::Id"))]
    pub conversation_id: String,
    /// The turn.
    #[cfg_attr(any(test, feature = "schema"), schemars(with = "schema::Id"))]
    pub turn_id: String,
    /// The `seq` of its `user` event: what comes of it is at and after that.
    pub first_seq: u64,
}

/// Body of `POST /conversations/{id}/turns/{turnId}/tool-output`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema, ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct CallOutput {
    /// The call that this answers.
    pub call_id: String,
    /// What the tool gave; anything, `null` too.
    #[cfg_attr(any(test, feature = "schema"), ts(type = "unknown"))]
    pub output: Value,
}

impl CallOutput {
    /// Reads a body.
    ///
    /// # Errors
    /// [`ProtocolError`] naming the field that is missing, repeated or of the wrong type.
    pub fn parse(body: &[u8]) -> Result<Self, ProtocolError> {
        object::read(body)
    }
}

/// Body of `PUT /conversations/{id}/head`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema, ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct HeadChoice {
    /// The turn that the next message follows.
    #[cfg_attr(any(test, feature = "schema"), schemars(with = "schema::Id"))]
    pub turn_id: String,
}

impl HeadChoice {
    /// Reads a body.
    ///
    /// # Errors
    /// [`ProtocolError`] naming the field that is missing or no id.
    pub fn parse(body: &[u8]) -> Result<Self, ProtocolError> {
        let parsed: Self = object::read(body)?;
        check_turn_id(&parsed.turn_id)?;
        Ok(parsed)
    }
}

/// Answer of `POST /conversations/import`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema, ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct ConversationImported {
    /// The conversation, under its new id if it was given one.
    #[cfg_attr(any(test, feature = "schema"), schemars(with = "schema::Id"))]
    pub conversation_id: String,
    /// How many turns it has.
    pub turns: u64,
    /// How many events its log has.
    pub events: u64,
}
