//! `cargo xtask fuzz`: looks for bytes that break a promise, guided by what code they reach.
//!
//! The targets are in `xtask/fuzz`, and libFuzzer runs them. No other toolchain is needed: the compiler's own pass
//! counts what is reached. What breaks a promise is written below `fixtures/fuzz`, where the test command replays it
//! from then on.

use std::{fs, path::PathBuf, process::Command};

use clap::Args;

use crate::{
    error::{Context as _, Result, XtaskError},
    process::{command, output, run},
    workspace::Workspace,
};

/// The package of the targets, and its program.
const PACKAGE: [&str; 4] = ["--package", "fuzz-targets", "--bin", "fuzz"];

/// Every target, in the order in which they run.
pub(crate) const TARGETS: [&str; 8] = [
    "frames",
    "messages",
    "agent-files",
    "gguf",
    "safetensors",
    "ollama-lines",
    "openai-events",
    "imports",
];

/// Has the compiler count each edge of the control flow, and pass on the operands of comparisons, which libFuzzer then
/// writes into its inputs. Overflows and debug assertions count as broken promises too.
const FLAGS: [&str; 7] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cdebug-assertions",
    "-Coverflow-checks",
];

/// The longest input: what is wrong with a header is wrong with a short one.
const LONGEST_INPUT_BYTES: usize = 16 << 10;

/// The longest input that is added to the tree, which is for replaying and stays small; what is longer was written by
/// people.
const LONGEST_KEPT_BYTES: usize = 64;

/// For one input: thousands of times the usual, and less than any peer would be waited for.
const INPUT_SECONDS: u32 = 10;

/// The whole fuzzer's memory, with all that it counts in: no input may make a parser take more.
const MEMORY_MIB: u32 = 1_024;

/// The fuzzer's arguments.
#[derive(Args)]
pub(crate) struct FuzzArguments {
    /// One target; each in turn when absent
    #[arg(value_parser = TARGETS)]
    target: Option<String>,
    /// How long each target runs
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Where its choices begin; 0 is another place each time
    #[arg(long, default_value_t = 0)]
    seed: u32,
    /// Adds those inputs to fixtures/fuzz that reach what nothing there does
    #[arg(long)]
    keep: bool,
}

/// Builds the fuzzer and runs the targets; an error as soon as one has found something.
pub(crate) fn run_all(workspace: &Workspace, arguments: &FuzzArguments) -> Result<()> {
    let fuzzer = Fuzzer::build(workspace)?;
    let is_chosen = |target: &&&str| arguments.target.as_deref().is_none_or(|chosen| chosen == **target);
    for target in TARGETS.iter().filter(is_chosen) {
        println!("== {target}");
        fuzzer.look(target, arguments)?;
        if arguments.keep {
            fuzzer.keep(target)?;
        }
    }
    Ok(())
}

/// The built program, and where its inputs lie.
struct Fuzzer<'a> {
    workspace: &'a Workspace,
    /// Its own build, and what it has found so far.
    folder: PathBuf,
    program: PathBuf,
}

impl<'a> Fuzzer<'a> {
    /// Builds it apart from everything else, since all of it is compiled to be counted.
    fn build(workspace: &'a Workspace) -> Result<Self> {
        let folder = workspace.build_output().with_file_name("fuzz");
        let platform = platform()?;
        let mut build = workspace.cargo(&[&["build", "--locked"], &PACKAGE[..]].concat());
        // With a platform named, programs that run during the build aren't counted.
        build.args(["--target", &platform, "--target-dir"]).arg(&folder);
        run(build.env("RUSTFLAGS", FLAGS.join(" ")))?;
        let program = folder.join(&platform).join("debug").join("fuzz");
        Ok(Self {
            workspace,
            folder,
            program,
        })
    }

    /// Runs a target for a while. What is new to it is kept in the build folder, what breaks it in the tree.
    fn look(&self, target: &str, arguments: &FuzzArguments) -> Result<()> {
        let (found, kept) = (self.found(target)?, self.kept(target)?);
        let mut fuzzer = self.command(target)?;
        fuzzer.arg(format!("-max_total_time={}", arguments.seconds));
        fuzzer.arg(format!("-seed={}", arguments.seed));
        fuzzer.arg(format!("-max_len={LONGEST_INPUT_BYTES}"));
        fuzzer.arg(format!("-artifact_prefix={}/", kept.display()));
        run(fuzzer
            .args(["-print_final_stats=1", "-use_value_profile=1"])
            .args([found, kept]))
    }

    /// Copies small inputs into the tree that reach what those in it don't.
    fn keep(&self, target: &str) -> Result<()> {
        let (found, kept) = (self.found(target)?, self.kept(target)?);
        let mut merge = self.command(target)?;
        run(merge
            .args(["-set_cover_merge=1", &format!("-max_len={LONGEST_KEPT_BYTES}")])
            .args([kept, found]))
    }

    fn command(&self, target: &str) -> Result<Command> {
        let scratch = ensure(self.folder.join("scratch"))?;
        let mut fuzzer = command(&self.program.to_string_lossy(), [""; 0]);
        fuzzer.env("FUZZ_TARGET", target).env("TMPDIR", scratch);
        fuzzer.args([
            format!("-timeout={INPUT_SECONDS}"),
            format!("-rss_limit_mb={MEMORY_MIB}"),
        ]);
        Ok(fuzzer)
    }

    fn found(&self, target: &str) -> Result<PathBuf> {
        ensure(self.folder.join("found").join(target))
    }

    fn kept(&self, target: &str) -> Result<PathBuf> {
        ensure(self.workspace.root().join("fixtures").join("fuzz").join(target))
    }
}

/// The folder, made if it is missing.
fn ensure(folder: PathBuf) -> Result<PathBuf> {
    fs::create_dir_all(&folder).while_trying("make", &folder)?;
    Ok(folder)
}

/// The platform that the compiler builds for.
fn platform() -> Result<String> {
    let printed = output(&mut command("rustc", ["--verbose", "--version"]))?;
    let host = printed.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| XtaskError::Report {
        what: "rustc's version".to_owned(),
        reason: "it doesn't say for which platform it builds".to_owned(),
    })
}
