//! What can go wrong while a command of the project runs; each message says what to do next.

use std::{io, path::PathBuf};

use thiserror::Error;

/// The one error of this tool.
#[derive(Debug, Error)]
pub(crate) enum XtaskError {
    /// A program that the command needs isn't on this machine.
    #[error("{tool} not found; {remedy}")]
    MissingTool {
        /// What is missing, as a person would call it.
        tool: &'static str,
        /// What to run to get it.
        remedy: String,
    },
    /// A program is there but couldn't be started.
    #[error("could not start `{command}`")]
    Start {
        /// The whole command line.
        command: String,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// A program ran and said no.
    #[error("`{command}` failed: {status}")]
    Failed {
        /// The whole command line.
        command: String,
        /// Its exit status, in words.
        status: String,
    },
    /// A file or folder couldn't be read or written.
    #[error("could not {action} {}", path.display())]
    File {
        /// What was tried: `read`, `write`, `rename` ….
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// A downloaded file isn't the one that was asked for.
    #[error("{} has sha256 {actual}, expected {expected}", path.display())]
    Checksum {
        /// The file that was checked.
        path: PathBuf,
        /// The sum it should have.
        expected: &'static str,
        /// The sum it has.
        actual: String,
    },
    /// A report of another program doesn't read as that program's reports do.
    #[error("could not read {what}: {reason}")]
    Report {
        /// Which report.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A file of the tree doesn't do what it is for.
    #[error("{file}: {reason}")]
    Broken {
        /// The file, below the root.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The tree breaks its own conventions.
    #[error("broken conventions: {count}")]
    Untidy {
        /// How many findings were printed.
        count: usize,
    },
}

impl XtaskError {
    /// The message with what caused it, on one line.
    pub(crate) fn with_causes(&self) -> String {
        let causes = std::iter::successors(Some(self as &dyn std::error::Error), |error| error.source());
        causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
    }
}

/// A result with this tool's error.
pub(crate) type Result<T, E = XtaskError> = std::result::Result<T, E>;

/// Adds to an [`io::Error`] what was tried, and where.
pub(crate) trait Context<T> {
    /// Names the `action` (`read`, `write` …) and the file that it failed on.
    fn while_trying(self, action: &'static str, path: &std::path::Path) -> Result<T>;
}

impl<T> Context<T> for io::Result<T> {
    fn while_trying(self, action: &'static str, path: &std::path::Path) -> Result<T> {
        self.map_err(|source| XtaskError::File {
            action,
            path: path.to_owned(),
            source,
        })
    }
}
