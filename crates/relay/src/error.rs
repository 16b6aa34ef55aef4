//! Why a relay gave no answer, a lease was refused, or a message to the narrator came to nothing.

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
    /// It could not be asked, or what it said is no answer.
    #[error("{detail}")]
    Failed {
        /// One sentence for people.
        detail: String,
    },
    /// It didn't answer in time.
    #[error("the relay didn't answer within {} s", after.as_secs_f64())]
    Timeout {
        /// How long it was waited for.
        after: Duration,
    },
}

impl RelayError {
    /// A failure with these words.
    pub fn failed(detail: impl Into<String>) -> Self {
        Self::Failed { detail: detail.into() }
    }

    /// The code that the wire says.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Failed { .. } => ErrorCode::RelayFailed,
            Self::Timeout { .. } => ErrorCode::RelayTimeout,
        }
    }
}

/// Why a lease was not given, kept or believed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LeaseError {
    /// An id is blank or too long.
    #[error("key {key:?} must have 1 to {limit} bytes and a visible character")]
    BadId {
        /// The key that the wire calls it.
        key: &'static str,
        /// The most that is allowed.
        limit: usize,
    },
    /// The lease would be too short or too long.
    #[error("key \"ttlSeconds\" must be 1 to {most}, not {seconds}")]
    BadTtl {
        /// What was asked for.
        seconds: u64,
        /// The most that is allowed.
        most: u64,
    },
    /// Someone else holds it.
    #[error(
        "agent {agent:?}{} has a controller until {}: wait, or show that lease's token to take it over",
        of_workspace(workspace.as_deref()),
        rfc3339(*until_ms)
    )]
    Held {
        /// The agent.
        agent: String,
        /// The workspace; all of them when absent.
        workspace: Option<String>,
        /// When the lease ends unless it is kept alive, in milliseconds since 1970.
        until_ms: i64,
    },
    /// All leases that may live at once do.
    #[error("there are {limit} controllers, which is the limit")]
    Full {
        /// The limit.
        limit: usize,
    },
    /// The token is missing, or another's.
    #[error("the token is not that of registration {registration:?}")]
    WrongToken {
        /// The registration.
        registration: String,
    },
    /// The lease is over, or there never was such a one.
    #[error("{}", over(registration, *ended_ms))]
    Over {
        /// The registration.
        registration: String,
        /// When it ended, in milliseconds since 1970, where that is known.
        ended_ms: Option<i64>,
    },
    /// No controller holds the lease that a message needs.
    #[error("{}", not_registered(agent, workspace, *ended_ms))]
    NotRegistered {
        /// The agent.
        agent: String,
        /// The workspace.
        workspace: String,
        /// When the last lease ended, in milliseconds since 1970, where there was one.
        ended_ms: Option<i64>,
    },
}

impl LeaseError {
    /// The code that the wire says.
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

/// Why a message to the narrator, a look at its log, or a controller's event came to nothing.
#[derive(Debug, Error)]
pub enum NarratorError {
    /// The message has no visible character.
    #[error("message is required")]
    BlankMessage,
    /// The message is over its limit.
    #[error("the message has {bytes} bytes, and {limit} are allowed")]
    MessageTooLarge {
        /// Its size as UTF-8.
        bytes: usize,
        /// The most that is allowed.
        limit: usize,
    },
    /// An id is wrong.
    #[error(transparent)]
    InvalidRequest(#[from] ProtocolError),
    /// Too many messages are being answered.
    #[error("{limit} messages to narrators are being answered, which is the limit")]
    Busy {
        /// The limit.
        limit: usize,
    },
    /// A lease is missing, over or another's.
    #[error(transparent)]
    Lease(#[from] LeaseError),
    /// The relay failed.
    #[error(transparent)]
    Relay(#[from] RelayError),
    /// The conversations' store refused or failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The narrator's log or a summary can't be read or written.
    #[error("cannot {what} {path:?}")]
    File {
        /// What was tried.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: Arc<io::Error>,
    },
    /// The script of a fake relay makes no sense.
    #[error("the fake relay's script {path:?} can't be used: {reason}")]
    BadScript {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The relay's address makes no sense, or there is no TLS to be had.
    #[error("the relay {url:?} can't be used: {reason}")]
    BadRelay {
        /// The address.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A task of the narrator is gone; only when the runtime is being shut down, or by a fault of the relay.
    #[error("the narrator's task is gone")]
    Gone,
}

impl NarratorError {
    /// The code that the wire says of it; `None` where the store's error says it itself.
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
