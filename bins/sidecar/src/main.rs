//! The `sidecar` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    streaming_llm_sidecar::cli::run()
}
