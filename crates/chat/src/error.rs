//! Why a turn was not begun, or something about one couldn't be said.

use agent_store::{AgentStoreError, InvalidAgentId};
use conversation_store::StoreError;
use engine::EngineError;
use protocol::{ErrorCode, ErrorEvent, ProtocolError};
use thiserror::Error;

/// Why a command was refused. `code` is what the wire says.
#[derive(Debug, Error)]
pub enum ChatError {
    /// An id, key or value is wrong.
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
    /// The agent's id is none.
    #[error(transparent)]
    InvalidAgentId(#[from] InvalidAgentId),
    /// The agent can't be had.
    #[error("{}", with_reason(.0))]
    Agent(#[from] AgentStoreError),
    /// The agent's front matter has an option that is wrong.
    #[error("agent {agent:?} has a wrong option in its front matter: {source}")]
    AgentOption {
        /// The agent.
        agent: String,
        /// What is wrong.
        source: ProtocolError,
    },
    /// The message asks for a model that it may not have.
    #[error("model {model:?} is not allowed here, only {allowed}")]
    ModelNotAllowed {
        /// The model.
        model: String,
        /// The names that are.
        allowed: String,
    },
    /// An output for a call that doesn't wait for one.
    #[error("turn {turn_id:?} has no call {call_id:?} that waits for an output")]
    NoSuchCall {
        /// The turn.
        turn_id: String,
        /// The call.
        call_id: String,
    },
    /// An output with which those of its turn would be over their limit.
    #[error("the outputs of turn {turn_id:?} would have {bytes} bytes, and {limit} are allowed")]
    OutputsTooLarge {
        /// The turn.
        turn_id: String,
        /// What they would have, as JSON.
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
    /// The epoch that a turn belongs to is longer than a prompt view may be.
    #[error("the epoch of turn {turn_id:?} is longer than the {limit} bytes that a prompt view covers")]
    EpochTooLong {
        /// The turn.
        turn_id: String,
        /// The most that is rendered at once.
        limit: usize,
    },
    /// A stored record is not what this version writes.
    #[error("the stored {what} of turn {turn_id:?} cannot be read")]
    BadRecord {
        /// The turn.
        turn_id: String,
        /// The part of it.
        what: &'static str,
    },
    /// The store refused or failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The engine refused or failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A task of the chat is gone; only when the runtime is being shut down.
    #[error("the chat is gone")]
    Gone,
}

impl ChatError {
    /// The code that the wire says.
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

    /// The error as the wire says it.
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

/// What is wrong with an agent's file, not only that something is: people write it by hand.
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
