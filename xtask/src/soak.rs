//! `cargo xtask soak`: every promise under fire, for minutes; and `--kills`, which only kills, so many times.
//!
//! It runs tests of the sidecar, the same that the test command runs for a few rounds, and shows their table.

use clap::Args;

use crate::{
    error::Result,
    process::run,
    workspace::{FEATURE_SET, Workspace},
};

/// The test that does everything.
const UNDER_FIRE: &str = "soak::every_promise_is_kept_under_fire";

/// The test that kills.
const KILLS: &str = "soak::nothing_acknowledged_is_lost_to_kills_of_many_talks";

/// How long, and with which plan.
#[derive(Args)]
pub(crate) struct SoakArguments {
    /// How long it goes on
    #[arg(long, default_value_t = 10)]
    minutes: u64,
    /// Only kills, so many times in a row
    #[arg(long, conflicts_with = "minutes")]
    kills: Option<u64>,
    /// The plan: the same number is the same plan
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The round of that plan that it begins with, to look for a fault again
    #[arg(long, default_value_t = 0)]
    first_round: u64,
}

/// Runs it to its end; an error if it found a fault.
pub(crate) fn soak(workspace: &Workspace, arguments: &SoakArguments) -> Result<()> {
    let (test, variable, value) = match arguments.kills {
        Some(kills) => (KILLS, "SIDECAR_SOAK_KILLS", kills),
        None => (UNDER_FIRE, "SIDECAR_SOAK_MINUTES", arguments.minutes),
    };
    let target = ["--test", "it", "--", "--exact", test, "--nocapture"];
    let mut cargo = workspace.cargo(&[&["test"], &FEATURE_SET[..], &target].concat());
    cargo
        .env(variable, value.to_string())
        .env("SIDECAR_SOAK_SEED", arguments.seed.to_string())
        .env("SIDECAR_SOAK_FIRST_ROUND", arguments.first_round.to_string());
    run(&mut cargo)
}
