//! The closed list of error codes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// The kind of an error. The list is closed: a client may match it exhaustively.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// A frame, body, id or option is wrong; the message names it.
    InvalidRequest,
    /// An API key is required, and is missing or wrong.
    Unauthorised,
    /// The Host or Origin isn't allowed.
    Forbidden,
    /// No agent has this id.
    AgentNotFound,
    /// No conversation (or turn) has this id.
    ConversationNotFound,
    /// The conversation was deleted.
    Gone,
    /// The turn id was used before, for another message.
    DuplicateTurn,
    /// The resource has changed since it was read (`If-Match`).
    Conflict,
    /// The system part, or the message, is larger than the model's context.
    ContextTooLarge,
    /// A frame, body, message or file is over its limit.
    TooLarge,
    /// A queue is full.
    Busy,
    /// The server is shutting down and starts no new turn.
    Draining,
    /// The model is not available.
    ModelUnavailable,
    /// The model's server failed.
    UpstreamFailed,
    /// The model's server sent nothing for too long.
    UpstreamTimeout,
    /// The turn was cut off by a crash or a shutdown of the server.
    Interrupted,
    /// The reader was too far behind for too long.
    SlowReader,
    /// No controller holds the lease that a message to the narrator needs.
    ControllerNotRegistered,
    /// The relay failed.
    RelayFailed,
    /// The relay didn't answer in time.
    RelayTimeout,
    /// An internal fault of the server.
    Internal,
}

impl ErrorCode {
    /// All codes, in the order of PROTOCOL.md's table.
    pub const ALL: [Self; 21] = [
        Self::InvalidRequest,
        Self::Unauthorised,
        Self::Forbidden,
        Self::AgentNotFound,
        Self::ConversationNotFound,
        Self::Gone,
        Self::DuplicateTurn,
        Self::Conflict,
        Self::ContextTooLarge,
        Self::TooLarge,
        Self::Busy,
        Self::Draining,
        Self::ModelUnavailable,
        Self::UpstreamFailed,
        Self::UpstreamTimeout,
        Self::Interrupted,
        Self::SlowReader,
        Self::ControllerNotRegistered,
        Self::RelayFailed,
        Self::RelayTimeout,
        Self::Internal,
    ];

    /// Returns the code as it is spelled on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::Unauthorised => "unauthorised",
            Self::Forbidden => "forbidden",
            Self::AgentNotFound => "agent_not_found",
            Self::ConversationNotFound => "conversation_not_found",
            Self::Gone => "gone",
            Self::DuplicateTurn => "duplicate_turn",
            Self::Conflict => "conflict",
            Self::ContextTooLarge => "context_too_large",
            Self::TooLarge => "too_large",
            Self::Busy => "busy",
            Self::Draining => "draining",
            Self::ModelUnavailable => "model_unavailable",
            Self::UpstreamFailed => "upstream_failed",
            Self::UpstreamTimeout => "upstream_timeout",
            Self::Interrupted => "interrupted",
            Self::SlowReader => "slow_reader",
            Self::ControllerNotRegistered => "controller_not_registered",
            Self::RelayFailed => "relay_failed",
            Self::RelayTimeout => "relay_timeout",
            Self::Internal => "internal",
        }
    }

    /// Returns true if the same request may succeed later.
    #[must_use]
    pub fn retryable(self) -> bool {
        match self {
            Self::InvalidRequest
            | Self::Unauthorised
            | Self::Forbidden
            | Self::AgentNotFound
            | Self::ConversationNotFound
            | Self::Gone
            | Self::DuplicateTurn
            | Self::Conflict
            | Self::ContextTooLarge
            | Self::TooLarge => false,
            Self::Busy
            | Self::Draining
            | Self::ModelUnavailable
            | Self::UpstreamFailed
            | Self::UpstreamTimeout
            | Self::Interrupted
            | Self::SlowReader
            | Self::ControllerNotRegistered
            | Self::RelayFailed
            | Self::RelayTimeout
            | Self::Internal => true,
        }
    }

    /// Returns the WebSocket close code for this error; `None` if it never closes a socket.
    #[must_use]
    pub fn close_code(self) -> Option<u16> {
        match self {
            Self::InvalidRequest => Some(4400),
            Self::Unauthorised => Some(4401),
            Self::Forbidden => Some(4403),
            Self::AgentNotFound | Self::ConversationNotFound | Self::Gone => Some(4404),
            Self::DuplicateTurn | Self::Conflict => Some(4409),
            Self::SlowReader => Some(4413),
            Self::ContextTooLarge | Self::TooLarge => Some(1009),
            Self::Busy => Some(4429),
            Self::Draining => Some(1013),
            Self::Internal => Some(4500),
            Self::ModelUnavailable
            | Self::UpstreamFailed
            | Self::UpstreamTimeout
            | Self::Interrupted
            | Self::ControllerNotRegistered
            | Self::RelayFailed
            | Self::RelayTimeout => None,
        }
    }
}
