//! Errors as HTTP responses: an error code in, a status and a JSON body out.
//!
//! One exhaustive match gives every code its status; the close codes of sockets are [`ErrorCode::close_code`].

use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, ResponseError};
use chat::ChatError;
use conversation_store::StoreError;
use protocol::{ErrorBody, ErrorCode, RelayErrorBody};
use relay::{LeaseError, NarratorError};

/// Returns the HTTP status of an error code.
#[must_use]
pub fn http_status(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::InvalidRequest => StatusCode::BAD_REQUEST,
        ErrorCode::Unauthorised => StatusCode::UNAUTHORIZED,
        ErrorCode::Forbidden => StatusCode::FORBIDDEN,
        ErrorCode::AgentNotFound | ErrorCode::ConversationNotFound => StatusCode::NOT_FOUND,
        ErrorCode::Gone => StatusCode::GONE,
        ErrorCode::DuplicateTurn | ErrorCode::ControllerNotRegistered => StatusCode::CONFLICT,
        ErrorCode::Conflict => StatusCode::PRECONDITION_FAILED,
        ErrorCode::ContextTooLarge | ErrorCode::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorCode::Busy => StatusCode::TOO_MANY_REQUESTS,
        ErrorCode::Draining | ErrorCode::ModelUnavailable | ErrorCode::Interrupted | ErrorCode::SlowReader => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        ErrorCode::UpstreamFailed | ErrorCode::RelayFailed => StatusCode::BAD_GATEWAY,
        ErrorCode::UpstreamTimeout | ErrorCode::RelayTimeout => StatusCode::GATEWAY_TIMEOUT,
        ErrorCode::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

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

    /// Makes an internal error. The client is told only that it was one; the cause is logged.
    pub fn internal(what: &'static str, error: &dyn std::error::Error) -> Self {
        tracing::error!(error = %ErrorChain(error), "{what} failed");
        Self::new(ErrorCode::Internal, format!("{what} failed"))
    }

    /// Makes the error of a disk that can't be read or written. The client is told what is wrong, which its user can
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
        // A broken agent file is the user's own: the user can mend it when told how.
        if matches!(error, ChatError::Agent(agent_store::AgentStoreError::Broken { .. })) {
            return Self::new(error.code(), error.to_string());
        }
        if let ChatError::Store(fault) = &error
            && fault.disk_fault().is_some()
        {
            return Self::disk(&fault.to_string(), fault);
        }
        match error.code() {
            ErrorCode::Internal => Self::internal("the request", &error),
            code => Self::new(code, error.to_string()),
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        let code = match &error {
            StoreError::ConversationNotFound { .. } | StoreError::TurnNotFound { .. } => {
                ErrorCode::ConversationNotFound
            }
            StoreError::Gone { .. } => ErrorCode::Gone,
            StoreError::DuplicateTurn { .. } => ErrorCode::DuplicateTurn,
            StoreError::TooLarge { .. } => ErrorCode::TooLarge,
            StoreError::InvalidCursor { .. } | StoreError::BadArchive { .. } => ErrorCode::InvalidRequest,
            StoreError::Running { .. } => ErrorCode::Busy,
            // `conflict` is 412 where a condition was sent; here none was.
            StoreError::ConversationExists { .. } => {
                return Self {
                    status: StatusCode::CONFLICT,
                    ..Self::new(ErrorCode::Conflict, error.to_string())
                };
            }
            StoreError::Closed => ErrorCode::Draining,
            error if error.disk_fault().is_some() => return Self::disk(&error.to_string(), error),
            _ => return Self::internal("the conversation store", &error),
        };
        Self::new(code, error.to_string())
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
            // `conflict` is 412 where a condition was sent; here none was.
            (Some(code), NarratorError::Lease(LeaseError::Held { .. })) => Self {
                status: StatusCode::CONFLICT,
                ..Self::new(code, error.to_string())
            },
            (Some(code), _) => Self::new(code, error.to_string()),
        }
    }
}

/// An error with its causes, on one line. A cause that its error's text already ends with is left out.
pub struct ErrorChain<'a>(pub &'a dyn std::error::Error);

impl fmt::Display for ErrorChain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut previous = self.0.to_string();
        f.write_str(&previous)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            let text = error.to_string();
            if !previous.ends_with(&text) {
                write!(f, ": {text}")?;
            }
            previous = text;
            cause = error.source();
        }
        Ok(())
    }
}
