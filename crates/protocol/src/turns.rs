//! The HTTP bodies that start turns, answer their calls of tools, and switch between them.

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
    /// The `seq` of the turn's `user` event, which is its first.
    pub first_seq: u64,
}

/// Body of `POST /conversations/{id}/turns/{turnId}/tool-output`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema, ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct CallOutput {
    /// The call that this answers.
    pub call_id: String,
    /// The tool's output: any JSON value, also `null`.
    #[cfg_attr(any(test, feature = "schema"), ts(type = "unknown"))]
    pub output: Value,
}

impl CallOutput {
    /// Parses a body.
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
    /// Parses a body.
    ///
    /// # Errors
    /// [`ProtocolError`] naming the field that is missing or not an id.
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
    /// The conversation's id, which is the new one if one was given.
    #[cfg_attr(any(test, feature = "schema"), schemars(with = "schema::Id"))]
    pub conversation_id: String,
    /// Number of its turns.
    pub turns: u64,
    /// Number of the events in its log.
    pub events: u64,
}
