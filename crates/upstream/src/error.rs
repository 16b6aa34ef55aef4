//! The errors between a model server and this crate, before they become an [`engine::EngineError`].

use thiserror::Error;

/// Why a server can't be used, or what is wrong with its answer.
#[derive(Debug, Error)]
pub enum UpstreamError {
    /// The address of a server can't be used.
    #[error("{url:?} is no address of a model server: {reason}")]
    Url {
        /// The address, without the credentials that it may hold.
        url: String,
        /// Why not.
        reason: String,
    },
    /// The key can't be sent in an HTTP header. The error doesn't contain it.
    #[error("the API key has characters that no HTTP header can hold")]
    Key,
    /// The HTTP client can't be created, for example since the system has no root certificates.
    #[error("an HTTP client for {server} can't be made")]
    Client {
        /// The server.
        server: String,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// A line of the answer exceeds its limit.
    #[error("a line of its answer has more than {limit_bytes} bytes")]
    LineTooLong {
        /// Most bytes of a line.
        limit_bytes: usize,
    },
    /// The answer exceeds its limit.
    #[error("its answer has more than {limit_bytes} bytes")]
    AnswerTooLong {
        /// Most bytes of an answer.
        limit_bytes: usize,
    },
    /// The answer is not UTF-8.
    #[error("its answer isn't UTF-8")]
    NotUtf8 {
        /// Where it isn't.
        #[source]
        source: std::string::FromUtf8Error,
    },
    /// A line of the answer doesn't follow the server's protocol.
    #[error("its answer has a line that makes no sense ({source}): {line}")]
    Malformed {
        /// The beginning of the line.
        line: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// The server reports an error.
    #[error("{message}")]
    Reported {
        /// The server's message.
        message: String,
    },
    /// The answer ended without a sign that it is complete.
    #[error("its answer ended before its last chunk")]
    Unfinished,
}

impl UpstreamError {
    /// Creates the error of a line that doesn't follow the server's protocol.
    #[must_use]
    pub fn malformed(line: &str, source: serde_json::Error) -> Self {
        /// Enough to recognise a line by, without filling a log with it.
        const LINE_CHARS: usize = 200;
        Self::Malformed {
            line: line.chars().take(LINE_CHARS).collect(),
            source,
        }
    }
}
