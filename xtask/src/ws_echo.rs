//! `cargo xtask ws-echo`: the sidecar's socket layer as an echo, for conformance tests of the WebSocket protocol.
//!
//! It builds and starts the sidecar's example `ws_echo`, which says where it listens and echoes until it is ended.

use clap::Args;

use crate::{
    error::Result,
    process::{command, run},
    workspace::{FEATURE_SET, Workspace},
};

/// The example's name.
const EXAMPLE: &str = "ws_echo";

/// The echo's arguments.
#[derive(Args)]
pub(crate) struct EchoArguments {
    /// The port of 127.0.0.1; 0 takes a free one
    #[arg(long, default_value_t = 9001)]
    port: u16,
    /// The longest message, in bytes
    #[arg(long, default_value_t = 16 << 20)]
    message_bytes: u64,
}

/// Builds the echo and runs it to its end.
pub(crate) fn serve(workspace: &Workspace, arguments: &EchoArguments) -> Result<()> {
    run(&mut workspace.cargo(&[&["build"], &FEATURE_SET[..], &["--example", EXAMPLE]].concat()))?;
    let values = [arguments.port.to_string(), arguments.message_bytes.to_string()];
    run(&mut command(&program(workspace), values))
}

/// The built example.
pub(crate) fn program(workspace: &Workspace) -> String {
    let path = workspace.build_output().join("examples").join(EXAMPLE);
    path.to_string_lossy().into_owned()
}
