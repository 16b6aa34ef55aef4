//! The HTTP bodies that start turns, answer their calls of tools, and switch between them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use ts_rs::TS;

use crate::texts;
use crate::{ProtocolError, check_turn_id, object};

/// Answer of `POST /conversations/{id}/turns`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct TurnAccepted {
    /// The conversation.
    #[schemars(with = "texts::Id")]
    pub conversation_id: String,
    /// The turn.
    #[schemars(with = "texts::Id")]
    pub turn_id: String,
    /// The `seq` of the turn's `user` event, which is its first.
    pub first_seq: u64,
}

/// Body of `POST /conversations/{id}/turns/{turnId}/tool-output`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct CallOutput {
    /// The call that this answers.
    pub call_id: String,
    /// The tool's output: any JSON value, also `null`.
    #[ts(type = "unknown")]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct HeadChoice {
    /// The turn that the next message follows.
    #[schemars(with = "texts::Id")]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "camelCase")]
pub struct ConversationImported {
    /// The conversation's id, which is the new one if one was given.
    #[schemars(with = "texts::Id")]
    pub conversation_id: String,
    /// Number of its turns.
    pub turns: u64,
    /// Number of the events in its log.
    pub events: u64,
}
