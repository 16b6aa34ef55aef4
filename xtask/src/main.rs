//! The project's own commands: `cargo xtask test`, `tidy`, `fuzz`, `model`, `dist`, `soak`, `ws-echo`, `load`,
//! `bench-peers` and `kernels`.
//!
//! Plain steps that anyone could type, in one place and in the right order. It starts other programs and
//! reads the tree; it depends on no other crate of the workspace, so it builds in seconds.

mod bench_peers;
mod dist;
mod error;
mod fuzz;
mod kernels;
mod load;
mod model;
mod process;
mod soak;
mod system;
mod test;
mod tidy;
mod workspace;
mod ws_echo;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::{
    bench_peers::PeersArguments, dist::DistArguments, error::Result, fuzz::FuzzArguments, kernels::KernelArguments,
    load::LoadArguments, soak::SoakArguments, tidy::TidyArguments, workspace::Workspace, ws_echo::EchoArguments,
};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The project's own commands")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs every test there is, Rust and TypeScript, and installs what they need
    Test,
    /// Checks the conventions that no compiler checks
    Tidy(TidyArguments),
    /// Looks for bytes that break what holds for any bytes, guided by what code they reach
    Fuzz(FuzzArguments),
    /// Fetches the default model into models/ unless it is there
    Model,
    /// Builds the sidecar for release and packs it: a tar.gz, Python wheels and npm packages
    Dist(DistArguments),
    /// Has many clients use the sidecar while it is killed, stopped, and put on a disk that takes nothing, and looks
    /// for what it lost
    Soak(SoakArguments),
    /// Serves the sidecar's socket layer as an echo, for conformance tests of the WebSocket protocol
    WsEcho(EchoArguments),
    /// Loads a sidecar with sockets, and measures latency, memory and losses
    Load(LoadArguments),
    /// Measures the sidecar's model and llama.cpp's in turn, on the same files and the same token ids
    BenchPeers(PeersArguments),
    /// Runs the tests of the kernels in valgrind, or as an ARM processor in qemu
    Kernels(KernelArguments),
}

fn main() -> ExitCode {
    match run(&Arguments::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {}", error.with_causes());
            ExitCode::FAILURE
        }
    }
}

fn run(command: &Command) -> Result<ExitCode> {
    let workspace = Workspace::locate()?;
    match command {
        Command::Test => return Ok(test::run(&workspace)),
        Command::Tidy(arguments) => tidy::run(&workspace, arguments)?,
        Command::Fuzz(arguments) => fuzz::run_all(&workspace, arguments)?,
        Command::Model => drop(model::ensure(&workspace)?),
        Command::Dist(arguments) => drop(dist::build_and_pack(&workspace, arguments)?),
        Command::Soak(arguments) => soak::soak(&workspace, arguments)?,
        Command::WsEcho(arguments) => ws_echo::serve(&workspace, arguments)?,
        Command::Load(arguments) => load::measure(&workspace, arguments)?,
        Command::BenchPeers(arguments) => bench_peers::compare(&workspace, arguments)?,
        Command::Kernels(arguments) => kernels::test(&workspace, arguments)?,
    }
    Ok(ExitCode::SUCCESS)
}
