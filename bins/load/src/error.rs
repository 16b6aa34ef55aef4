//! The errors of a measurement.

use std::io;

use tokio_tungstenite::tungstenite;

pub(crate) type Result<T> = std::result::Result<T, LoadError>;

#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    #[error("cannot start an asynchronous runtime")]
    Runtime { source: io::Error },
    #[error("cannot serve a bare socket")]
    ServeBare { source: io::Error },
    #[error("cannot serve the sidecar")]
    ServeSidecar {
        #[from]
        source: sidecar::StartError,
    },
    #[error("cannot write an agent into {path}")]
    WriteAgent { path: String, source: io::Error },
    #[error("cannot start the {server} server")]
    StartServer { server: &'static str, source: io::Error },
    #[error("the {server} server didn't say where it listens")]
    NoAddress { server: &'static str },
    #[error("cannot read the memory and the time of process {pid}, which only Linux tells")]
    NoProcessStats { pid: u32 },
    #[error("cannot open a socket at {authority}")]
    Open {
        authority: String,
        source: Box<tungstenite::Error>,
    },
    #[error("a socket failed")]
    Socket { source: Box<tungstenite::Error> },
    #[error("a socket ended in mid-answer: {reason}")]
    Ended { reason: String },
    #[error("a frame is not what was expected: {frame}")]
    Frame { frame: String },
    #[error("a turn ended in an error: {frame}")]
    TurnFailed { frame: String },
    #[error("questions can't be spread over {seconds} s")]
    Spread { seconds: f64 },
    #[error("{lost} of {sent} tokens were lost")]
    Lost { lost: u64, sent: u64 },
    #[error("cannot ask {authority} for /healthz")]
    Health { authority: String, source: io::Error },
}

impl LoadError {
    /// Formats the error and its causes on one line.
    pub(crate) fn with_causes(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }
}

impl From<tungstenite::Error> for LoadError {
    fn from(source: tungstenite::Error) -> Self {
        Self::Socket {
            source: Box::new(source),
        }
    }
}
