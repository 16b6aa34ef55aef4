//! Loads a sidecar with hundreds of sockets and measures latency from engine to client, frames a second, memory per
//! socket, and losses.
//!
//! Servers are child processes, this same program again: the sidecar with an engine that stamps its tokens with the
//! time (`scripted`), and a bare actix-ws loop that sends the same frames (`bare`). Both are measured in the same run,
//! since only their ratio means something on another machine. `cargo xtask load` builds and starts it.

mod bare;
mod child;
mod clock;
mod error;
mod idle;
mod percentiles;
mod reader;
mod real;
mod scripted;
mod stamping;
mod stream;
mod stuck;

use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::error::Result;

#[derive(Parser)]
#[command(name = "cargo xtask load", about = "Loads a sidecar with sockets and measures it")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Sockets that stream at once: latency from engine to client, frames a second against a bare actix-ws loop, losses
    Stream(StreamArguments),
    /// Sockets that say nothing: memory of each against a bare actix-ws echo, and how soon /healthz answers beside them
    Idle(IdleArguments),
    /// Readers that never read: what they do to the latency of the others, against as many that read
    Stuck(StuckArguments),
    /// A sidecar that runs already, with whatever model it has
    Real(RealArguments),
    /// Serves the sidecar with an engine that stamps its tokens
    #[command(hide = true)]
    Scripted(Pace),
    /// Serves a bare actix-ws loop
    #[command(hide = true)]
    Bare(Pace),
}

/// What an engine does.
#[derive(Args, Clone, Copy, Debug)]
struct Pace {
    /// Tokens a second in each answer; 0 is as fast as they are taken
    #[arg(long, default_value_t = 10)]
    rate: u32,
    /// Tokens in each answer
    #[arg(long, default_value_t = 256)]
    tokens: u32,
}

#[derive(Args, Clone, Copy, Debug)]
struct StreamArguments {
    /// Sockets, each with a conversation of its own
    #[arg(long, default_value_t = 500)]
    sockets: usize,
    /// Turns on each, one after the other; with three or more, the latency is of those between the first and the last,
    /// while all stream
    #[arg(long, default_value_t = 3)]
    turns: u32,
    /// Seconds over which the first questions are spread; as long as an answer takes, unless it is said
    #[arg(long)]
    spread: Option<f64>,
    /// Times that both servers are measured, in turn
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    #[command(flatten)]
    pace: Pace,
}

#[derive(Args, Clone, Copy, Debug)]
struct IdleArguments {
    /// Sockets
    #[arg(long, default_value_t = 10_000)]
    sockets: usize,
    /// Requests of /healthz
    #[arg(long, default_value_t = 2_000)]
    requests: u32,
}

#[derive(Args, Clone, Copy, Debug)]
struct StuckArguments {
    /// Sockets that stream
    #[arg(long, default_value_t = 100)]
    sockets: usize,
    /// How long each measurement takes
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// Times that both are measured, in turn
    #[arg(long, default_value_t = 2)]
    rounds: u32,
    /// Tokens a second in each answer
    #[arg(long, default_value_t = 20)]
    rate: u32,
}

#[derive(Args, Clone, Debug)]
struct RealArguments {
    /// Where it listens
    #[arg(long, default_value = "127.0.0.1:8000")]
    authority: String,
    /// The agent that is asked
    #[arg(long, default_value = "planner")]
    agent: String,
    /// Sockets, each with a conversation of its own
    #[arg(long, default_value_t = 4)]
    sockets: usize,
    /// Turns on each, one after the other
    #[arg(long, default_value_t = 2)]
    turns: u32,
    /// Most tokens in each answer
    #[arg(long, default_value_t = 64)]
    tokens: u32,
}

fn main() -> ExitCode {
    match run(&Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", error.with_causes());
            ExitCode::FAILURE
        }
    }
}

fn run(command: &Command) -> Result<()> {
    match command {
        Command::Scripted(pace) => scripted::serve(*pace),
        Command::Bare(pace) => bare::serve(*pace),
        Command::Stream(arguments) => measuring(stream::measure(*arguments)),
        Command::Idle(arguments) => measuring(idle::measure(*arguments)),
        Command::Stuck(arguments) => measuring(stuck::measure(*arguments)),
        Command::Real(arguments) => measuring(real::measure(arguments)),
    }
}

/// Runs a measurement on one thread, so that the servers have the other cores.
fn measuring(measurement: impl Future<Output = Result<()>>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|source| error::LoadError::Runtime { source })?;
    runtime.block_on(tokio::task::LocalSet::new().run_until(measurement))
}
