//! The errors of a chat's commands and queries, with their wire codes.

use agent_store::{AgentStoreError, InvalidAgentId};
use conversation_store::StoreError;
use engine::EngineError;
use protocol::{ErrorCode, ErrorEvent, ProtocolError};
use thiserror::Error;

/// An error of a chat's command or query. [`ChatError::code`] is its code on the wire.
#[derive(Debug, Error)]
pub enum ChatError {
    /// An id, key or value is invalid.
    #[error(transparent)]
    InvalidRequest(#[from] ProtocolError),
    /// The message has no visible character.
    #[error("key \"message\" must not be blank")]
    BlankMessage,
    /// The message is over its limit.
    #[error("the message has {bytes} bytes, and {limit} are allowed")]
    MessageTooLarge {
        /// Its size as UTF-8.
        bytes: usize,
        /// The most that is allowed.
        limit: usize,
    },
    /// The agent id is malformed.
    #[error(transparent)]
    InvalidAgentId(#[from] InvalidAgentId),
    /// The agent can't be loaded.
    #[error("{}", with_reason(.0))]
    Agent(#[from] AgentStoreError),
    /// The agent's front matter has an invalid option.
    #[error("agent {agent:?} has a wrong option in its front matter: {source}")]
    AgentOption {
        /// The agent.
        agent: String,
        /// The error in the option.
        source: ProtocolError,
    },
    /// The message requests a model that isn't allowed.
    #[error("model {model:?} is not allowed here, only {allowed}")]
    ModelNotAllowed {
        /// The model.
        model: String,
        /// The names of the allowed models.
        allowed: String,
    },
    /// The output belongs to no call that waits for one.
    #[error("turn {turn_id:?} has no call {call_id:?} that waits for an output")]
    NoSuchCall {
        /// The turn.
        turn_id: String,
        /// The call.
        call_id: String,
    },
    /// The turn's outputs would be over their limit with this one.
    #[error("the outputs of turn {turn_id:?} would have {bytes} bytes, and {limit} are allowed")]
    OutputsTooLarge {
        /// The turn.
        turn_id: String,
        /// Their size, as JSON.
        bytes: usize,
        /// The most that is allowed.
        limit: usize,
    },
    /// Too many turns of the conversation wait.
    #[error("conversation {conversation:?} has {waiting} turns waiting, which is its limit")]
    Busy {
        /// The conversation.
        conversation: String,
        /// Turns that wait.
        waiting: usize,
    },
    /// The chat is being shut down.
    #[error("the server is stopping and takes no new turn")]
    Draining,
    /// No such turn.
    #[error("turn {turn_id:?} of conversation {conversation:?} not found")]
    TurnNotFound {
        /// The conversation.
        conversation: String,
        /// The turn.
        turn_id: String,
    },
    /// `parentTurnId` or `editTurnId` names no turn of the conversation.
    #[error("key {key:?} must be a turn of conversation {conversation:?}, not {turn_id:?}")]
    ParentNotFound {
        /// The key.
        key: &'static str,
        /// The conversation.
        conversation: String,
        /// The turn.
        turn_id: String,
    },
    /// The turn's epoch is too long for a prompt view.
    #[error("the epoch of turn {turn_id:?} is longer than the {limit} bytes that a prompt view covers")]
    EpochTooLong {
        /// The turn.
        turn_id: String,
        /// The most that is rendered.
        limit: usize,
    },
    /// A stored record can't be read by this version.
    #[error("the stored {what} of turn {turn_id:?} cannot be read")]
    BadRecord {
        /// The turn.
        turn_id: String,
        /// The unreadable part of the turn.
        what: &'static str,
    },
    /// The store refused or failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The engine refused or failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A task of the chat is gone, because the runtime is shutting down.
    #[error("the chat is gone")]
    Gone,
}

impl ChatError {
    /// Returns the error's code on the wire.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::InvalidRequest(_)
            | Self::InvalidAgentId(_)
            | Self::BlankMessage
            | Self::ModelNotAllowed { .. }
            | Self::NoSuchCall { .. }
            | Self::AgentOption { .. }
            | Self::ParentNotFound { .. } => ErrorCode::InvalidRequest,
            Self::MessageTooLarge { .. } | Self::OutputsTooLarge { .. } | Self::EpochTooLong { .. } => {
                ErrorCode::TooLarge
            }
            Self::Agent(error) => agent_code(error),
            Self::Busy { .. } => ErrorCode::Busy,
            Self::Draining => ErrorCode::Draining,
            Self::TurnNotFound { .. } => ErrorCode::ConversationNotFound,
            Self::BadRecord { .. } | Self::Gone => ErrorCode::Internal,
            Self::Store(error) => store_code(error),
            Self::Engine(error) => engine_code(error),
        }
    }

    /// Returns the error as a wire event.
    #[must_use]
    pub fn event(&self) -> ErrorEvent {
        ErrorEvent::new(self.code(), self.to_string())
    }

    pub(crate) fn turn_not_found(conversation: &str, turn_id: &str) -> Self {
        Self::TurnNotFound {
            conversation: conversation.to_owned(),
            turn_id: turn_id.to_owned(),
        }
    }
}

pub(crate) fn engine_code(error: &EngineError) -> ErrorCode {
    match error {
        EngineError::Busy { .. } | EngineError::UpstreamBusy { .. } => ErrorCode::Busy,
        EngineError::ContextTooLarge { .. } => ErrorCode::ContextTooLarge,
        EngineError::InvalidRequest { .. } => ErrorCode::InvalidRequest,
        EngineError::ModelUnavailable { .. } => ErrorCode::ModelUnavailable,
        EngineError::UpstreamFailed { .. } => ErrorCode::UpstreamFailed,
        EngineError::UpstreamTimeout { .. } => ErrorCode::UpstreamTimeout,
        EngineError::NotCached { .. } | EngineError::Internal { .. } => ErrorCode::Internal,
    }
}

/// Returns the error with its reason: agent files are written by hand, so people need the details.
fn with_reason(error: &AgentStoreError) -> String {
    match error {
        AgentStoreError::Broken { source, .. } | AgentStoreError::Unstorable { source, .. } => {
            format!("{error}: {source}")
        }
        AgentStoreError::NotFound { .. }
        | AgentStoreError::ConditionFailed { .. }
        | AgentStoreError::InvalidCondition { .. }
        | AgentStoreError::BlankName { .. }
        | AgentStoreError::TooManyAgents { .. }
        | AgentStoreError::OpenFolder { .. }
        | AgentStoreError::Write { .. }
        | AgentStoreError::Delete { .. } => error.to_string(),
    }
}

fn agent_code(error: &AgentStoreError) -> ErrorCode {
    match error {
        AgentStoreError::NotFound { .. } => ErrorCode::AgentNotFound,
        AgentStoreError::ConditionFailed { .. } => ErrorCode::Conflict,
        AgentStoreError::InvalidCondition { .. }
        | AgentStoreError::BlankName { .. }
        | AgentStoreError::Unstorable { .. } => ErrorCode::InvalidRequest,
        AgentStoreError::TooManyAgents { .. } => ErrorCode::TooLarge,
        AgentStoreError::Broken { .. }
        | AgentStoreError::OpenFolder { .. }
        | AgentStoreError::Write { .. }
        | AgentStoreError::Delete { .. } => ErrorCode::Internal,
    }
}

fn store_code(error: &StoreError) -> ErrorCode {
    match error {
        StoreError::ConversationNotFound { .. } | StoreError::TurnNotFound { .. } => ErrorCode::ConversationNotFound,
        StoreError::Gone { .. } => ErrorCode::Gone,
        StoreError::DuplicateTurn { .. } => ErrorCode::DuplicateTurn,
        StoreError::InvalidCursor { .. } | StoreError::BadArchive { .. } => ErrorCode::InvalidRequest,
        StoreError::TooLarge { .. } => ErrorCode::TooLarge,
        StoreError::Running { .. } => ErrorCode::Busy,
        StoreError::ConversationExists { .. } => ErrorCode::Conflict,
        StoreError::Closed => ErrorCode::Draining,
        StoreError::MakeFolder { .. }
        | StoreError::Open { .. }
        | StoreError::Damaged { .. }
        | StoreError::Migrate { .. }
        | StoreError::ReadJournal { .. }
        | StoreError::StartWriter { .. }
        | StoreError::Read { .. }
        | StoreError::Write { .. }
        | StoreError::BadRecord { .. }
        | StoreError::IllegalTransition { .. }
        | StoreError::NotWritable { .. }
        | StoreError::NoEvents { .. }
        | StoreError::NothingPublished { .. }
        | StoreError::AfterFailure { .. } => ErrorCode::Internal,
    }
}
