//! Builds frames from their parsed keys: the fields of an object in, one frame or the error that names a key out.

use super::{ApiKey, Cancel, Hello, Leave, Message, Ping, Regenerate, Resume, ToolAnswer};
use crate::fields::Fields;
use crate::{OptionsPatch, ProtocolError, ToolDefinition};

pub(super) fn text_of(body: &[u8]) -> Result<&str, ProtocolError> {
    std::str::from_utf8(body).map_err(|error| ProtocolError::Malformed {
        reason: error.to_string(),
    })
}

pub(super) fn hello(fields: &Fields<'_>) -> Result<Hello, ProtocolError> {
    Ok(Hello {
        agent_id: fields.string("agentId")?,
        conversation_id: fields.id("conversationId")?,
        options: options(fields)?,
        api_key: fields.string("apiKey")?.map(ApiKey::new),
    })
}

pub(super) fn message(fields: &Fields<'_>) -> Result<Message, ProtocolError> {
    Ok(Message {
        message: fields
            .string("message")?
            .ok_or(ProtocolError::MissingKey { key: "message" })?,
        agent_id: fields.string("agentId")?,
        conversation_id: fields.id("conversationId")?,
        options: options(fields)?,
        turn_id: fields.id("turnId")?,
        parent_turn_id: fields.id("parentTurnId")?,
        edit_turn_id: fields.id("editTurnId")?,
        tools: tools(fields)?,
        api_key: fields.string("apiKey")?.map(ApiKey::new),
    })
}

/// Builds a `regenerate`; `turn_id` is used if the fields name no turn.
pub(super) fn regenerate(fields: &Fields<'_>, turn_id: Option<&str>) -> Result<Regenerate, ProtocolError> {
    let named = fields.id("turnId")?.or_else(|| turn_id.map(str::to_owned));
    Ok(Regenerate {
        turn_id: named.ok_or(ProtocolError::MissingKey { key: "turnId" })?,
        conversation_id: fields.id("conversationId")?,
        new_turn_id: fields.id("newTurnId")?,
        options: options(fields)?,
        tools: tools(fields)?,
        api_key: fields.string("apiKey")?.map(ApiKey::new),
    })
}

pub(super) fn tool_answer(fields: &Fields<'_>) -> Result<ToolAnswer, ProtocolError> {
    let needed = |value: Option<String>, key| value.ok_or(ProtocolError::MissingKey { key });
    let output = fields
        .get_nullable("output")
        .ok_or(ProtocolError::MissingKey { key: "output" })?;
    Ok(ToolAnswer {
        turn_id: needed(fields.id("turnId")?, "turnId")?,
        call_id: needed(fields.string("callId")?, "callId")?,
        output: output.read("a value nested less than 128 deep")?,
        conversation_id: fields.id("conversationId")?,
    })
}

pub(super) fn cancel(fields: &Fields<'_>) -> Result<Cancel, ProtocolError> {
    Ok(Cancel {
        turn_id: fields.id("turnId")?,
        conversation_id: fields.id("conversationId")?,
    })
}

pub(super) fn resume(fields: &Fields<'_>) -> Result<Resume, ProtocolError> {
    Ok(Resume {
        conversation_id: conversation(fields)?,
        after: fields.whole_number("after")?,
        own: fields.boolean("own")?.unwrap_or(false),
        api_key: fields.string("apiKey")?.map(ApiKey::new),
    })
}

pub(super) fn leave(fields: &Fields<'_>) -> Result<Leave, ProtocolError> {
    Ok(Leave {
        conversation_id: conversation(fields)?,
    })
}

pub(super) fn ping(fields: &Fields<'_>) -> Result<Ping, ProtocolError> {
    Ok(Ping {
        id: fields.string("id")?,
    })
}

fn tools(fields: &Fields<'_>) -> Result<Option<Vec<ToolDefinition>>, ProtocolError> {
    fields
        .get("tools")
        .map(|field| ToolDefinition::parse_list(field.key, field.raw))
        .transpose()
}

fn conversation(fields: &Fields<'_>) -> Result<String, ProtocolError> {
    fields
        .id("conversationId")?
        .ok_or(ProtocolError::MissingKey { key: "conversationId" })
}

fn options(fields: &Fields<'_>) -> Result<OptionsPatch, ProtocolError> {
    fields
        .options()
        .map_or(Ok(OptionsPatch::default()), OptionsPatch::from_fields)
}
