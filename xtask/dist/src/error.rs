//! What can go wrong while packing; each message names the file.

use std::{io, path::PathBuf};

use thiserror::Error;

/// The one error of this program.
#[derive(Debug, Error)]
pub(crate) enum DistError {
    /// A file or folder couldn't be read or written.
    #[error("could not {action} {}", path.display())]
    File {
        /// What was tried: `read`, `write` ….
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// Another program couldn't be started, or failed.
    #[error("`{command}` failed: {reason}")]
    Command {
        /// The whole command line.
        command: String,
        /// Its exit status or the system's reason.
        reason: String,
    },
    /// The program to be packed isn't one for a platform that packages are known for.
    #[error("no package can be made of this program: {reason}")]
    Platform {
        /// What is wrong with it.
        reason: String,
    },
    /// Crates within the program come without the text of their licence.
    #[error("no licence text found for: {}", crates.join(", "))]
    MissingLicences {
        /// Name, version and licence expression of each.
        crates: Vec<String>,
    },
    /// What cargo says of the packages isn't what it usually says.
    #[error("could not read cargo's metadata: {reason}")]
    Metadata {
        /// What is wrong with it.
        reason: String,
    },
    /// A wheel couldn't be written.
    #[error("could not write {}", path.display())]
    Zip {
        /// The wheel.
        path: PathBuf,
        /// The reason.
        #[source]
        source: zip::result::ZipError,
    },
}

impl DistError {
    /// Returns the message with what caused it, on one line.
    pub(crate) fn with_causes(&self) -> String {
        let causes = std::iter::successors(Some(self as &dyn std::error::Error), |error| error.source());
        causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
    }
}

/// A result with this program's error.
pub(crate) type Result<T, E = DistError> = std::result::Result<T, E>;

/// Adds to an [`io::Error`] what was tried, and where.
pub(crate) trait Context<T> {
    /// Names the `action` (`read`, `write` …) and the file that it failed on.
    fn while_trying(self, action: &'static str, path: &std::path::Path) -> Result<T>;
}

impl<T> Context<T> for io::Result<T> {
    fn while_trying(self, action: &'static str, path: &std::path::Path) -> Result<T> {
        self.map_err(|source| DistError::File {
            action,
            path: path.to_owned(),
            source,
        })
    }
}
