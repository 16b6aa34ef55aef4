//! The sum over all steps: says what runs, how long it took, and what failed, and never stops on a failure.

use std::{
    ops::AddAssign,
    process::ExitCode,
    time::{Duration, Instant},
};

use crate::error::Result;

/// How many tests a runner ran.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Tests that passed.
    pub(crate) passed: u64,
    /// Tests that failed, or couldn't run.
    pub(crate) failed: u64,
}

impl Counts {
    const ONE_PASSED: Self = Self { passed: 1, failed: 0 };
    const ONE_FAILED: Self = Self { passed: 0, failed: 1 };
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

/// A step that takes less has no row of its own in the closing table.
const SHORT_STEP: Duration = Duration::from_secs(1);

/// What has happened so far.
pub(crate) struct Tally {
    began: Instant,
    counts: Counts,
    steps: Vec<Step>,
}

/// One step that is over.
pub(crate) struct Step {
    pub(crate) name: String,
    pub(crate) took: Duration,
    pub(crate) passed: bool,
}

impl Tally {
    /// Begins now.
    pub(crate) fn new() -> Self {
        Self {
            began: Instant::now(),
            counts: Counts::default(),
            steps: Vec::new(),
        }
    }

    /// Runs a step that later ones need: counted only if it fails; says whether it succeeded.
    pub(crate) fn prepare(&mut self, name: &str, step: impl FnOnce() -> Result<()>) -> bool {
        self.step(name, || step().map(|()| Counts::default()))
    }

    /// Runs a check that counts as one test.
    pub(crate) fn check(&mut self, name: &str, step: impl FnOnce() -> Result<()>) {
        self.step(name, || step().map(|()| Counts::ONE_PASSED));
    }

    /// Runs a test runner, whose tests all count.
    pub(crate) fn count(&mut self, name: &str, step: impl FnOnce() -> Result<Counts>) {
        self.step(name, step);
    }

    /// Adds a test runner that ran beside other steps, from `start` on.
    pub(crate) fn add(&mut self, name: &str, start: Instant, result: Result<Counts>) {
        println!("\n== {name}");
        self.end_step(name, start, result);
    }

    /// Prints the steps with their seconds, the failed ones, and the closing line.
    pub(crate) fn finish(self) -> ExitCode {
        println!("\n{}", table(&self.steps, self.began.elapsed()));
        for step in self.steps.iter().filter(|step| !step.passed) {
            println!("failed: {}", step.name);
        }
        println!("{} passed, {} failed", self.counts.passed, self.counts.failed);
        if self.succeeded() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }

    /// Whether something ran and nothing failed.
    pub(crate) fn succeeded(&self) -> bool {
        self.counts.failed == 0 && self.counts.passed > 0
    }

    /// The sum so far.
    #[cfg(test)]
    pub(crate) fn counts(&self) -> Counts {
        self.counts
    }

    fn step(&mut self, name: &str, step: impl FnOnce() -> Result<Counts>) -> bool {
        println!("\n== {name}");
        let start = Instant::now();
        self.end_step(name, start, step())
    }

    fn end_step(&mut self, name: &str, start: Instant, result: Result<Counts>) -> bool {
        let counts = result.unwrap_or_else(|error| {
            println!("error: {}", error.with_causes());
            Counts::ONE_FAILED
        });
        let (passed, took) = (counts.failed == 0, start.elapsed());
        let outcome = if passed { "ok" } else { "FAILED" };
        println!("   {outcome} in {:.1} s", took.as_secs_f64());
        self.steps.push(Step {
            name: name.to_owned(),
            took,
            passed,
        });
        self.counts += counts;
        passed
    }
}

/// The seconds of each step, where short ones share a row; last those of `all`, of which some steps share a part.
pub(crate) fn table(steps: &[Step], all: Duration) -> String {
    let (short, long): (Vec<&Step>, Vec<&Step>) = steps.iter().partition(|step| step.took < SHORT_STEP);
    let mut rows: Vec<(String, Duration)> = long.iter().map(|step| (step.name.clone(), step.took)).collect();
    if !short.is_empty() {
        let sum = short.iter().map(|step| step.took).sum();
        rows.push((format!("{} short steps", short.len()), sum));
    }
    rows.push(("all steps".to_owned(), all));
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let lines = rows
        .iter()
        .map(|(name, took)| format!("{name:width$}  {:>7.1} s\n", took.as_secs_f64()));
    lines.collect()
}
