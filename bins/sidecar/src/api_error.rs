//! Errors as HTTP answers them: an error in, a status and a JSON body out.
//!
//! The conversions here decide what a client may read of an error, and where its status is not that of its code. The
//! code itself comes with the error.

#[cfg(test)]
mod tests;

use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, ResponseError};
use agent_store::AgentStoreError;
use chat::ChatError;
use conversation_store::StoreError;
use protocol::{ErrorBody, ErrorCode, RelayErrorBody};
use relay::{LeaseError, NarratorError};

use crate::codes::http_status;
use crate::error_chain::ErrorChain;

/// An error on its way to a client: its code, and what happened in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    /// The HTTP status.
    pub status: StatusCode,
    /// The code of the closed list.
    pub code: ErrorCode,
    /// One sentence that names the value.
    pub detail: String,
    /// Seconds after which the request may be retried, if known.
    pub retry_after_s: Option<u64>,
}

impl ApiError {
    /// Makes an error with the status that belongs to its code.
    pub fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        Self {
            status: http_status(code),
            code,
            detail: detail.into(),
            retry_after_s: None,
        }
    }

    /// Makes an error with the code and the text of the chat's.
    fn with_code_of(error: &ChatError) -> Self {
        Self::new(error.code(), error.to_string())
    }

    /// Sets the status of a conflict without `If-Match`: 412 answers a condition, and here none was sent.
    fn without_condition(self) -> Self {
        Self {
            status: StatusCode::CONFLICT,
            ..self
        }
    }

    /// Makes the error of a request that is well formed, but whose content is not possible.
    pub fn unprocessable(detail: impl Into<String>) -> Self {
        Self {
            status: StatusCode::UNPROCESSABLE_ENTITY,
            ..Self::new(ErrorCode::InvalidRequest, detail)
        }
    }

    /// Makes the error of an agent that doesn't exist: the one body that clients compare word by word.
    #[must_use]
    pub fn agent_not_found() -> Self {
        Self::new(ErrorCode::AgentNotFound, "Agent not found")
    }

    /// Makes the error of a sidecar that is about to stop: a client that retries reaches the next process.
    #[must_use]
    pub fn draining() -> Self {
        Self::new(ErrorCode::Draining, "the sidecar is stopping")
    }

    /// Makes an internal error. The client sees only that it was one; the cause is logged.
    pub fn internal(what: &'static str, error: &dyn std::error::Error) -> Self {
        tracing::error!(error = %ErrorChain(error), "{what} failed");
        Self::new(ErrorCode::Internal, format!("{what} failed"))
    }

    /// Makes the error of a disk that can't be read or written. The client sees what is wrong, which its user can
    /// mend; the place is only logged.
    pub fn disk(what: &str, error: &dyn std::error::Error) -> Self {
        tracing::error!(error = %ErrorChain(error), "the disk fails");
        Self::new(ErrorCode::Internal, what)
    }

    /// Builds the JSON response.
    #[must_use]
    pub fn response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status);
        if self.status == StatusCode::UNAUTHORIZED {
            response.insert_header((WWW_AUTHENTICATE, "Bearer"));
        }
        if let Some(seconds) = self.retry_after_s {
            response.insert_header((RETRY_AFTER, seconds));
        }
        if self.status == StatusCode::REQUEST_TIMEOUT {
            // The rest of the request can't be told from the next one.
            response.force_close();
        }
        let detail = self.detail.clone();
        match self.code {
            ErrorCode::RelayFailed | ErrorCode::RelayTimeout => response.json(RelayErrorBody::new(self.code, detail)),
            code => response.json(ErrorBody { detail, code }),
        }
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for ApiError {}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        self.response()
    }
}

impl From<ChatError> for ApiError {
    fn from(error: ChatError) -> Self {
        match error {
            ChatError::Store(error) => error.into(),
            // A turn's request names more than an agent: the text says what is missing.
            ChatError::Agent(AgentStoreError::NotFound { .. }) => Self::with_code_of(&error),
            ChatError::Agent(error) => error.into(),
            error if error.code() == ErrorCode::Internal => Self::internal("the request", &error),
            error => Self::with_code_of(&error),
        }
    }
}

impl From<AgentStoreError> for ApiError {
    fn from(error: AgentStoreError) -> Self {
        match &error {
            AgentStoreError::NotFound { .. } => Self::agent_not_found(),
            AgentStoreError::BlankName { .. } | AgentStoreError::Unstorable { .. } => {
                Self::unprocessable(ChatError::Agent(error).to_string())
            }
            // A broken file is internal, but the user's own: the user can mend it when told how.
            AgentStoreError::Broken { .. }
            | AgentStoreError::ConditionFailed { .. }
            | AgentStoreError::InvalidCondition { .. }
            | AgentStoreError::TooManyAgents { .. } => Self::with_code_of(&ChatError::Agent(error)),
            AgentStoreError::Write { source, .. } => Self::disk(&format!("cannot write the agent: {source}"), &error),
            AgentStoreError::Delete { source, .. } => Self::disk(&format!("cannot delete the agent: {source}"), &error),
            AgentStoreError::OpenFolder { .. } => Self::internal("the agent store", &error),
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        if error.disk_fault().is_some() {
            return Self::disk(&error.to_string(), &error);
        }
        let error = ChatError::Store(error);
        let code = error.code();
        if code == ErrorCode::Internal {
            Self::internal("the conversation store", &error)
        } else if code == ErrorCode::Conflict {
            Self::with_code_of(&error).without_condition()
        } else {
            Self::with_code_of(&error)
        }
    }
}

impl From<NarratorError> for ApiError {
    fn from(error: NarratorError) -> Self {
        let error = match error {
            NarratorError::Store(error) => return error.into(),
            NarratorError::File { what, ref source, .. } => {
                return Self::disk(&format!("cannot {what} the narrator's files: {source}"), &error);
            }
            error => error,
        };
        match (error.code(), &error) {
            (None | Some(ErrorCode::Internal), _) => Self::internal("the narrator", &error),
            (Some(code), NarratorError::Lease(LeaseError::Held { .. })) => {
                Self::new(code, error.to_string()).without_condition()
            }
            (Some(code), _) => Self::new(code, error.to_string()),
        }
    }
}
