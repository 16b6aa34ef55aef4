//! The closed list of error codes.

use serde::{Deserialize, Serialize};

/// What kind of thing went wrong. The list is closed: a client may match all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema, ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The frame, body, id or option is wrong; the message names it.
    InvalidRequest,
    /// A key is needed, and was not given or is wrong.
    Unauthorised,
    /// The Host or Origin isn't allowed here.
    Forbidden,
    /// No agent has this id.
    AgentNotFound,
    /// No conversation (or turn) has this id.
    ConversationNotFound,
    /// The conversation was deleted.
    Gone,
    /// The turn id was used before, for another message.
    DuplicateTurn,
    /// The thing has changed since it was read (`If-Match`).
    Conflict,
    /// The system part, or the message, is larger than the model can hold.
    ContextTooLarge,
    /// A frame, body, message or file is over its limit.
    TooLarge,
    /// A queue is full.
    Busy,
    /// The server is stopping, and takes no new turn.
    Draining,
    /// The model is not there.
    ModelUnavailable,
    /// The model's server has failed.
    UpstreamFailed,
    /// The model's server was silent for too long.
    UpstreamTimeout,
    /// The turn was cut off, by a crash or a stop of the server.
    Interrupted,
    /// The reader was too far behind for too long.
    SlowReader,
    /// No controller holds the lease that a narrator's message needs.
    ControllerNotRegistered,
    /// The relay has failed.
    RelayFailed,
    /// The relay didn't answer in time.
    RelayTimeout,
    /// A fault of the server.
    Internal,
}

impl ErrorCode {
    /// Every code, in the order of PROTOCOL.md's table.
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

    /// The code as the wire spells it.
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

    /// Whether the same request may work later.
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

    /// The WebSocket code that a socket is closed with for this fault; `None` when it never closes one.
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
