//! Checks a message to the narrator: optional fields in, a complete message out.

use protocol::{Limits, NarratorMessage, check_conversation_id};

use super::DEFAULT_AGENT;
use crate::error::NarratorError;
use crate::leases::{check_agent, check_workspace};

/// A valid message.
#[derive(Debug)]
pub(super) struct CheckedMessage {
    pub(super) workspace: String,
    pub(super) agent: String,
    /// The workspace's own conversation if absent.
    pub(super) conversation: Option<String>,
    pub(super) message: String,
}

impl CheckedMessage {
    pub(super) fn check(message: NarratorMessage) -> Result<Self, NarratorError> {
        let text = message.message.filter(|text| !text.trim().is_empty());
        let text = text.ok_or(NarratorError::BlankMessage)?;
        let limit = usize::try_from(Limits::default().message_bytes).unwrap_or(usize::MAX);
        if text.len() > limit {
            let bytes = text.len();
            return Err(NarratorError::MessageTooLarge { bytes, limit });
        }
        let workspace = message.workspace_id.unwrap_or_default();
        check_workspace(&workspace)?;
        let agent = message.agent_id.unwrap_or_else(|| DEFAULT_AGENT.to_owned());
        check_agent(&agent)?;
        message
            .conversation_id
            .as_deref()
            .map_or(Ok(()), check_conversation_id)?;
        Ok(Self {
            workspace,
            agent,
            conversation: message.conversation_id,
            message: text,
        })
    }
}
