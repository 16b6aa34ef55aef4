//! The command line: arguments in, an exit code out.
//!
//! Results go to stdout, everything else to stderr. An error is one line with its causes; nothing is printed twice.

mod chat;
mod eval;
mod generate;
mod serve;
mod socket_client;
mod terminal;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::bench;
use crate::error::CommandError;
use crate::error_chain::ErrorChain;
use crate::home;
use crate::settings::{Loaded, Settings};

/// Streaming chat with many agents on this machine.
#[derive(Debug, Parser)]
#[command(name = "sidecar", version)]
struct Arguments {
    /// Settings file [default: .env.sidecar in the working folder, if there is one]
    #[arg(long, global = true, value_name = "FILE")]
    env_file: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves HTTP and WebSocket (the default)
    Serve,
    /// Chats in the terminal with the running sidecar, or with one of its own when none runs
    Chat(chat::ChatArguments),
    /// Generates token ids from token ids, without a template
    Generate(generate::GenerateArguments),
    /// Measures a model
    #[command(subcommand)]
    Eval(eval::EvalCommand),
    /// Measures how fast a model is on this machine
    Bench(Box<bench::BenchArguments>),
}

/// Runs the command that the process was started with.
#[must_use]
pub fn run() -> ExitCode {
    let arguments = Arguments::parse();
    match run_command(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", ErrorChain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

fn run_command(arguments: Arguments) -> Result<(), CommandError> {
    let command = arguments.command.unwrap_or(Command::Serve);
    let mut env_file = arguments.env_file;
    if let Command::Serve | Command::Chat(_) = command
        && let Some(home) = home::other_home()
    {
        // What the command line names is meant from where it was typed.
        env_file = env_file.map(std::path::absolute).transpose()?;
        home::enter(&home)?;
    }
    let loaded = Settings::load(env_file.as_deref())?;
    match command {
        Command::Serve => runtime()?.block_on(serve::serve(loaded)),
        Command::Chat(chat) => runtime()?.block_on(chat::chat(loaded, chat)),
        Command::Generate(generate) => generate::generate(&print_warnings(loaded), &generate),
        Command::Eval(eval) => eval::eval(&print_warnings(loaded), eval),
        Command::Bench(bench) => bench::bench(print_warnings(loaded), &bench),
    }
}

/// Prints the warnings about the settings' sources on stderr; returns the settings.
fn print_warnings(loaded: Loaded) -> Settings {
    for warning in &loaded.warnings {
        eprintln!("warning: {warning}");
    }
    loaded.settings
}

fn runtime() -> Result<tokio::runtime::Runtime, CommandError> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}
