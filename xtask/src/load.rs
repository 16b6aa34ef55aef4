//! `cargo xtask load`: many sockets against a sidecar, measured.
//!
//! It builds the program `sidecar-load` and runs it with the arguments that follow; what is measured, and how, is said
//! there.

use clap::Args;

use crate::{
    error::Result,
    process::{command, run},
    workspace::{FEATURE_SET, Workspace},
};

/// The program's name.
const PROGRAM: &str = "sidecar-load";

/// As many files as this user may open, since each socket is one; the usual soft limit of 1,024 is for programs that
/// use `select`.
const WITH_ALL_FILES: &str = r#"ulimit -n "$(ulimit -Hn)" && exec "$0" "$@""#;

/// The program's arguments.
#[derive(Args)]
#[command(disable_help_flag = true)]
pub(crate) struct LoadArguments {
    /// A measurement and its options; `help` lists them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
    arguments: Vec<String>,
}

/// Builds the program and runs it to its end.
pub(crate) fn measure(workspace: &Workspace, arguments: &LoadArguments) -> Result<()> {
    run(&mut workspace.cargo(&[&["build"], &FEATURE_SET[..], &["--bin", PROGRAM]].concat()))?;
    let program = workspace.build_output().join(PROGRAM).to_string_lossy().into_owned();
    let shell = ["-c", WITH_ALL_FILES, &program].map(str::to_owned);
    run(&mut command("sh", shell.iter().chain(&arguments.arguments)))
}
