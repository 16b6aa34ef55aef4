//! What can go wrong between a model server and this crate, before it is told as an [`engine::EngineError`].

use thiserror::Error;

/// Why a server can't be asked, or what is wrong with what it said.
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
    /// A key that no HTTP header can hold. The key itself is not named.
    #[error("the API key has characters that no HTTP header can hold")]
    Key,
    /// The HTTP client can't be made, for example since the system has no certificates to check a server's by.
    #[error("an HTTP client for {server} can't be made")]
    Client {
        /// The server.
        server: String,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// A line without an end.
    #[error("a line of its answer has more than {limit_bytes} bytes")]
    LineTooLong {
        /// The most that a line may have.
        limit_bytes: usize,
    },
    /// An answer without an end.
    #[error("its answer has more than {limit_bytes} bytes")]
    AnswerTooLong {
        /// The most that an answer may have.
        limit_bytes: usize,
    },
    /// Bytes that are no text.
    #[error("its answer isn't UTF-8")]
    NotUtf8 {
        /// Where.
        #[source]
        source: std::string::FromUtf8Error,
    },
    /// A line that its protocol doesn't have.
    #[error("its answer has a line that makes no sense ({source}): {line}")]
    NotUnderstood {
        /// The beginning of the line.
        line: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// The server says itself that it failed.
    #[error("{words}")]
    Said {
        /// Its words.
        words: String,
    },
    /// The answer stopped, and nothing says that it was whole.
    #[error("its answer ended before its last chunk")]
    Unfinished,
}

impl UpstreamError {
    /// A line that its protocol doesn't have.
    #[must_use]
    pub fn not_understood(line: &str, source: serde_json::Error) -> Self {
        /// Enough to recognise a line by, without filling a log with it.
        const LINE_CHARS: usize = 200;
        Self::NotUnderstood {
            line: line.chars().take(LINE_CHARS).collect(),
            source,
        }
    }
}
