//! The sum over all steps: says what runs, how long it took, and what failed, and never stops on a failure.

use std::{ops::AddAssign, process::ExitCode, time::Instant};

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

/// What has happened so far.
#[derive(Default)]
pub(crate) struct Tally {
    counts: Counts,
    failed_steps: Vec<String>,
}

impl Tally {
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

    /// Prints the failed steps and the closing line.
    pub(crate) fn finish(self) -> ExitCode {
        println!();
        for step in &self.failed_steps {
            println!("failed: {step}");
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
        let counts = step().unwrap_or_else(|error| {
            println!("error: {}", error.with_causes());
            Counts::ONE_FAILED
        });
        let passed = counts.failed == 0;
        println!(
            "   {} in {:.1} s",
            if passed { "ok" } else { "FAILED" },
            start.elapsed().as_secs_f64()
        );
        if !passed {
            self.failed_steps.push(name.to_owned());
        }
        self.counts += counts;
        passed
    }
}
