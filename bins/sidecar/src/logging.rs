//! Logging: one stream of events in, readable lines on stderr and daily JSON Lines files out.
//!
//! Logs say what happened to which conversation and turn, never what was said in it.

use std::fs;
use std::io::{self, IsTerminal};
use std::path::Path;

use tracing_appender::non_blocking::WorkerGuard;
use tracing_appender::rolling::{RollingFileAppender, Rotation};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt};

use crate::error::StartError;

/// Daily files that are kept: two weeks, long enough to look back from a bug report.
const MAX_LOG_FILES: usize = 14;

/// How stderr is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stderr {
    /// Log lines for people who watch the sidecar.
    Readable,
    /// No log lines: stderr belongs to a chat in the same terminal.
    Silent,
}

/// Starts logging; `RUST_LOG` filters, `info` without it. Keep the guard: dropping it writes what is still in the
/// buffer.
///
/// # Errors
/// The folder can't be written to.
pub fn start(log_dir: &Path, stderr: Stderr) -> Result<WorkerGuard, StartError> {
    let refused = |reason: String| StartError::Logs {
        path: log_dir.to_owned(),
        reason,
    };
    // Pruning old files would complain about a folder that doesn't exist yet.
    fs::create_dir_all(log_dir).map_err(|source| StartError::MakeFolder {
        path: log_dir.to_owned(),
        source,
    })?;
    let file = RollingFileAppender::builder()
        .rotation(Rotation::DAILY)
        .filename_prefix("sidecar")
        .filename_suffix("jsonl")
        .max_log_files(MAX_LOG_FILES)
        .build(log_dir)
        .map_err(|error| refused(error.to_string()))?;
    // Bounded and lossy: a full disk may cost log lines, never an answer.
    let (file, guard) = tracing_appender::non_blocking(file);
    let json = fmt::layer().json().flatten_event(true).with_writer(file);
    let lines = (stderr == Stderr::Readable).then(|| {
        fmt::layer()
            .with_writer(io::stderr)
            .with_ansi(io::stderr().is_terminal())
            .with_target(false)
    });
    tracing_subscriber::registry()
        .with(lines.map(|lines| lines.with_filter(filter())))
        .with(json.with_filter(filter()))
        .try_init()
        .map_err(|error| refused(error.to_string()))?;
    Ok(guard)
}

fn filter() -> EnvFilter {
    // The info lines of these crates are of no use to the user of a sidecar.
    EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new("info,actix_server=warn,rusqlite_migration=warn"))
}
