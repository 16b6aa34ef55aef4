//! The table at the end of a run: what was done how often, what was checked, and which violations were found.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Violations that are shown; the rest are only counted.
const SHOWN_VIOLATIONS: usize = 20;

#[derive(Debug, Default)]
pub struct Report(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    done: BTreeMap<&'static str, u64>,
    checked: BTreeMap<&'static str, u64>,
    measured: Vec<(String, String)>,
    violations: Vec<String>,
}

impl Report {
    /// Counts something that was done.
    pub fn did(&self, what: &'static str) {
        *self.lock().done.entry(what).or_default() += 1;
    }

    /// Counts a check; records a violation if it fails.
    pub fn check(&self, what: &'static str, holds: bool, details: impl FnOnce() -> String) {
        *self.lock().checked.entry(what).or_default() += 1;
        if !holds {
            let violation = format!("{what}: {}", details());
            eprintln!("VIOLATION {violation}");
            self.lock().violations.push(violation);
        }
    }

    /// Records a number that is shown and not checked.
    pub fn measured(&self, what: impl Into<String>, value: impl Into<String>) {
        self.lock().measured.push((what.into(), value.into()));
    }

    pub fn violations(&self) -> usize {
        self.lock().violations.len()
    }

    /// Formats the table.
    pub fn table(&self) -> String {
        let counts = self.lock();
        let mut table = String::new();
        let mut section = |title: &str, rows: Vec<(&str, String)>| {
            let _infallible = writeln!(table, "\n{title}");
            for (what, value) in rows {
                let _infallible = writeln!(table, "  {what:<58} {value:>12}");
            }
        };
        let numbers = |counts: &BTreeMap<&'static str, u64>| {
            let rows = counts.iter().map(|(what, times)| (*what, times.to_string()));
            rows.collect()
        };
        section("done", numbers(&counts.done));
        section("checked", numbers(&counts.checked));
        let measured = counts.measured.iter();
        section(
            "measured",
            measured.map(|(what, value)| (what.as_str(), value.clone())).collect(),
        );
        section("violations", vec![("found", counts.violations.len().to_string())]);
        for violation in counts.violations.iter().take(SHOWN_VIOLATIONS) {
            let _infallible = writeln!(table, "  - {violation}");
        }
        table
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
