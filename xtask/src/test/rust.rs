//! The Rust side: tests, examples, documentation and clippy, all with one profile and one feature set.

use std::{fs, process::Command, time::Duration};

use super::{
    python::{INTERPRETER_VARIABLE, PythonTools},
    tally::Counts,
    tools,
};
use crate::{
    error::{Context as _, Result, XtaskError},
    process::{command, run, run_within, tee},
    workspace::{FEATURE_SET, Workspace},
};

/// The GPU engine is compiled only for its own tests, and for what needs no machine code: clippy and documentation.
const WITH_GPU: [&str; 2] = ["--features", "streaming-llm-sidecar/gpu"];

/// The test program with the GPU engine, and what it asks of nextest beside the feature set of everything else.
const GPU_TESTS: [&str; 4] = ["--features", "streaming-llm-engine-burn/gpu", "--test", "gpu"];

/// Where nextest's report lies below the root (`.config/nextest.toml` asks for it).
const JUNIT_FILE: &str = "target/nextest/default/junit.xml";

/// Where the output of the GPU tests is kept while they run, below cargo's folder.
const GPU_OUTPUT: &str = "gpu-tests.log";

/// An example is a first look at a crate: seconds, even where it loads the model on two slow cores.
const EXAMPLE_LIMIT: Duration = Duration::from_secs(120);

/// The steps of the Rust side.
pub(crate) struct RustTests<'a> {
    workspace: &'a Workspace,
    python: &'a PythonTools<'a>,
}

impl<'a> RustTests<'a> {
    /// Prepares nothing, runs nothing.
    pub(crate) fn new(workspace: &'a Workspace, python: &'a PythonTools<'a>) -> Self {
        Self { workspace, python }
    }

    /// Builds and runs every test but those of the GPU; a failing one fails nothing but itself.
    pub(crate) fn nextest(&self) -> Result<Counts> {
        let mut nextest = tools::nextest(self.workspace, &[&["run"], &FEATURE_SET[..]].concat());
        self.run_nextest(nextest.env(INTERPRETER_VARIABLE, self.python.interpreter()))
    }

    /// Builds the GPU engine with its tests.
    pub(crate) fn build_gpu_tests(&self) -> Result<()> {
        run(&mut tools::nextest(
            self.workspace,
            &[&["run", "--no-run"], &FEATURE_SET[..], &GPU_TESTS].concat(),
        ))
    }

    /// Runs the tests of the GPU beside other steps: what they print comes when they are over. Compiling shaders for a
    /// software GPU keeps one core busy and leaves the other alone.
    pub(crate) fn gpu_tests(&self) -> Result<Counts> {
        let mut nextest = tools::nextest(self.workspace, &[&["run"], &FEATURE_SET[..], &GPU_TESTS].concat());
        let printed = self.workspace.target_folder().join(GPU_OUTPUT);
        let open = || fs::File::create(&printed).while_trying("create", &printed);
        let file = open()?;
        let copy = file.try_clone().while_trying("open", &printed)?;
        let counts = self.run_nextest(nextest.stdout(file).stderr(copy));
        print!("{}", fs::read_to_string(&printed).while_trying("read", &printed)?);
        counts
    }

    fn run_nextest(&self, nextest: &mut Command) -> Result<Counts> {
        let report = self.workspace.root().join(JUNIT_FILE);
        if report.exists() {
            fs::remove_file(&report).while_trying("remove", &report)?;
        }
        let outcome = run(nextest);
        if !report.exists() {
            return Err(outcome.err().unwrap_or_else(|| unreadable("it isn't there")));
        }
        let text = fs::read_to_string(&report).while_trying("read", &report)?;
        let counts = junit_counts(&text).ok_or_else(|| unreadable("it has no <testsuites> with counts"))?;
        // The runner may fail without a failed test, and then its word counts.
        if counts.failed == 0 {
            outcome.map(|()| counts)
        } else {
            Ok(counts)
        }
    }

    /// Builds what the next steps start.
    pub(crate) fn build_programs(&self) -> Result<()> {
        // Not all binaries: this tool is one, and it is running.
        run(&mut self.cargo("build", &["--bin", "sidecar", "--examples"]))
    }

    /// The examples of the library crates.
    pub(crate) fn examples(&self) -> impl Iterator<Item = &'a str> {
        let libraries = self
            .workspace
            .packages()
            .filter(|package| package.folder.starts_with("crates"));
        libraries.flat_map(|package| package.targets("example").collect::<Vec<_>>())
    }

    /// Runs one example, already built, from the root.
    pub(crate) fn run_example(&self, name: &str) -> Result<()> {
        let program = self.workspace.build_output().join("examples").join(name);
        let mut example = command(&program.to_string_lossy(), [""; 0]);
        example
            .env(INTERPRETER_VARIABLE, self.python.interpreter())
            .current_dir(self.workspace.root());
        run_within(&mut example, EXAMPLE_LIMIT)
    }

    /// Runs the code blocks in the documentation.
    pub(crate) fn doc_tests(&self) -> Result<Counts> {
        let mut cargo = self.cargo("test", &["--doc", "--no-fail-fast", "--quiet"]);
        let (printed, succeeded) = tee(&mut cargo)?;
        let counts = doc_test_counts(&printed);
        if succeeded || counts.failed > 0 {
            return Ok(counts);
        }
        Err(XtaskError::Failed {
            command: "cargo test --doc".to_owned(),
            status: "no test was run".to_owned(),
        })
    }

    /// Lints everything, tests and examples too; a warning fails it.
    pub(crate) fn clippy(&self) -> Result<()> {
        let flags = ["--all-targets", "--keep-going", "--quiet", "--", "--deny=warnings"];
        run(&mut self.cargo("clippy", &[&WITH_GPU[..], &flags].concat()))
    }

    /// Builds the documentation; a broken link fails it.
    pub(crate) fn documentation(&self) -> Result<()> {
        run(self
            .cargo("doc", &[&WITH_GPU[..], &["--no-deps", "--quiet"]].concat())
            .env("RUSTDOCFLAGS", "--deny=warnings"))
    }

    fn cargo(&self, verb: &str, arguments: &[&str]) -> std::process::Command {
        self.workspace.cargo(&[&[verb], &FEATURE_SET[..], arguments].concat())
    }
}

/// The sums in the root element of nextest's JUnit report.
pub(super) fn junit_counts(report: &str) -> Option<Counts> {
    let (_, element) = report.split_once("<testsuites ")?;
    let (element, _) = element.split_once('>')?;
    let attribute = |name: &str| {
        let (_, value) = element.split_once(&format!("{name}=\""))?;
        value.split_once('"')?.0.parse::<u64>().ok()
    };
    let failed = attribute("failures")? + attribute("errors")?;
    Some(Counts {
        passed: attribute("tests")?.checked_sub(failed)?,
        failed,
    })
}

/// The sum over the closing lines (`test result: ok. 2 passed; 0 failed; …`) of all crates.
pub(super) fn doc_test_counts(printed: &str) -> Counts {
    let mut counts = Counts::default();
    for line in printed.lines().filter(|line| line.starts_with("test result:")) {
        counts += Counts {
            passed: number_before(line, " passed"),
            failed: number_before(line, " failed"),
        };
    }
    counts
}

fn number_before(line: &str, word: &str) -> u64 {
    let before = line.split_once(word).map_or("", |(before, _)| before);
    before
        .rsplit(' ')
        .next()
        .and_then(|number| number.parse().ok())
        .unwrap_or(0)
}

fn unreadable(reason: &str) -> XtaskError {
    XtaskError::Report {
        what: format!("nextest's report {JUNIT_FILE}"),
        reason: reason.to_owned(),
    }
}
