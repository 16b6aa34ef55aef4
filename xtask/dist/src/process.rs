//! Starting another program.

use std::process::Command;

use crate::error::{DistError, Result};

/// Runs a program to its end and returns what it printed.
pub(crate) fn run(command: &mut Command) -> Result<Vec<u8>> {
    let failed = |command: &Command, reason: String| DistError::Command {
        command: format!("{command:?}"),
        reason,
    };
    let output = command.output().map_err(|error| failed(command, error.to_string()))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let words = String::from_utf8_lossy(&output.stderr);
    Err(failed(command, format!("{}: {}", output.status, words.trim())))
}
