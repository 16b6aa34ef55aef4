//! The errors of relays, of leases, and of messages to the narrator.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use conversation_store::StoreError;
use protocol::{ErrorCode, ProtocolError};
use thiserror::Error;

use crate::clock::rfc3339;

/// Why a relay gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RelayError {
    /// The relay could not be reached, or its answer is invalid.
    #[error("{detail}")]
    Failed {
        /// One sentence for people.
        detail: String,
    },
    /// The relay didn't answer in time.
    #[error("the relay didn't answer within {} s", after.as_secs_f64())]
    Timeout {
        /// The time limit.
        after: Duration,
    },
}

impl RelayError {
    /// Creates a failure with this message.
    pub fn failed(detail: impl Into<String>) -> Self {
        Self::Failed { detail: detail.into() }
    }

    /// Returns the error's code on the wire.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Failed { .. } => ErrorCode::RelayFailed,
            Self::Timeout { .. } => ErrorCode::RelayTimeout,
        }
    }
}

/// Why a lease was not granted, renewed or accepted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LeaseError {
    /// An id is blank or too long.
    #[error("key {key:?} must have 1 to {limit} bytes and a visible character")]
    BadId {
        /// The id's key on the wire.
        key: &'static str,
        /// The most that is allowed.
        limit: usize,
    },
    /// The lease would be too short or too long.
    #[error("key \"ttlSeconds\" must be 1 to {most}, not {seconds}")]
    BadTtl {
        /// The requested duration.
        seconds: u64,
        /// The longest that is allowed.
        most: u64,
    },
    /// Another controller holds the lease.
    #[error(
        "agent {agent:?}{} has a controller until {}: wait, or show that lease's token to take it over",
        of_workspace(workspace.as_deref()),
        rfc3339(*until_ms)
    )]
    Held {
        /// The agent.
        agent: String,
        /// The workspace; all of them if absent.
        workspace: Option<String>,
        /// When the lease ends unless it is renewed, in milliseconds since 1970.
        until_ms: i64,
    },
    /// The limit of active leases is reached.
    #[error("there are {limit} controllers, which is the limit")]
    Full {
        /// The limit.
        limit: usize,
    },
    /// The token is missing, or that of another lease.
    #[error("the token is not that of registration {registration:?}")]
    WrongToken {
        /// The registration.
        registration: String,
    },
    /// The lease is over, or never existed.
    #[error("{}", over(registration, *ended_ms))]
    Over {
        /// The registration.
        registration: String,
        /// When it ended, in milliseconds since 1970, if known.
        ended_ms: Option<i64>,
    },
    /// No controller holds the lease that a message needs.
    #[error("{}", not_registered(agent, workspace, *ended_ms))]
    NotRegistered {
        /// The agent.
        agent: String,
        /// The workspace.
        workspace: String,
        /// When the last lease ended, in milliseconds since 1970, if there was one.
        ended_ms: Option<i64>,
    },
}

impl LeaseError {
    /// Returns the error's code on the wire.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::BadId { .. } | Self::BadTtl { .. } => ErrorCode::InvalidRequest,
            Self::Held { .. } => ErrorCode::Conflict,
            Self::Full { .. } => ErrorCode::Busy,
            Self::WrongToken { .. } => ErrorCode::Forbidden,
            Self::Over { .. } | Self::NotRegistered { .. } => ErrorCode::ControllerNotRegistered,
        }
    }
}

/// Why a message to the narrator, a query of its log, or a controller's event failed.
#[derive(Debug, Error)]
pub enum NarratorError {
    /// The message has no visible character.
    #[error("message is required")]
    BlankMessage,
    /// The message exceeds its limit.
    #[error("the message has {bytes} bytes, and {limit} are allowed")]
    MessageTooLarge {
        /// Its size as UTF-8.
        bytes: usize,
        /// The most that is allowed.
        limit: usize,
    },
    /// An id is malformed.
    #[error(transparent)]
    InvalidRequest(#[from] ProtocolError),
    /// Too many messages are being answered.
    #[error("{limit} messages to narrators are being answered, which is the limit")]
    Busy {
        /// The limit.
        limit: usize,
    },
    /// A lease is missing, over or held by another controller.
    #[error(transparent)]
    Lease(#[from] LeaseError),
    /// The relay failed.
    #[error(transparent)]
    Relay(#[from] RelayError),
    /// The store of the conversations refused a command or failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The narrator's log or a summary can't be read or written.
    #[error("cannot {what} {path:?}")]
    File {
        /// The failed operation.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: Arc<io::Error>,
    },
    /// The script of a fake relay is invalid.
    #[error("the fake relay's script {path:?} can't be used: {reason}")]
    BadScript {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The relay's address is invalid, or TLS isn't available.
    #[error("the relay {url:?} can't be used: {reason}")]
    BadRelay {
        /// The address.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A task of the narrator ended without a result: the runtime is shutting down, or the relay panicked.
    #[error("the narrator's task is gone")]
    Gone,
}

impl NarratorError {
    /// Returns the error's code on the wire; `None` for a store's error, which the caller maps itself.
    #[must_use]
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::BlankMessage | Self::InvalidRequest(_) => Some(ErrorCode::InvalidRequest),
            Self::MessageTooLarge { .. } => Some(ErrorCode::TooLarge),
            Self::Busy { .. } => Some(ErrorCode::Busy),
            Self::Lease(error) => Some(error.code()),
            Self::Relay(error) => Some(error.code()),
            Self::Store(_) => None,
            Self::File { .. } | Self::BadScript { .. } | Self::BadRelay { .. } | Self::Gone => {
                Some(ErrorCode::Internal)
            }
        }
    }
}

fn of_workspace(workspace: Option<&str>) -> String {
    workspace.map_or_else(
        || " for all workspaces".to_owned(),
        |workspace| format!(" in workspace {workspace:?}"),
    )
}

fn over(registration: &str, ended_ms: Option<i64>) -> String {
    let how = ended_ms.map_or_else(
        || "is not known".to_owned(),
        |ended| format!("ended at {}", rfc3339(ended)),
    );
    format!("the lease of registration {registration:?} {how}: register again with POST /controllers")
}

fn not_registered(agent: &str, workspace: &str, ended_ms: Option<i64>) -> String {
    let why = ended_ms.map_or_else(
        || "there has been none".to_owned(),
        |ended| format!("its lease ended at {}", rfc3339(ended)),
    );
    format!(
        "no controller is registered for agent {agent:?} in workspace {workspace:?}: {why}. Register one with \
         POST /controllers {{\"agentId\": {agent:?}, \"workspaceId\": {workspace:?}, \"ttlSeconds\": 60}}, and keep it \
         alive with PUT /controllers/{{registrationId}}/keepalive"
    )
}
