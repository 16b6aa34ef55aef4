//! The TypeScript side: packages, types, build and vitest, its tests against the real sidecar included.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use super::tally::Counts;
use crate::{
    error::{Context as _, Result, XtaskError},
    model,
    process::{command, run, works},
    workspace::Workspace,
};

/// npm writes it last, so it is older than the lock file only if packages are missing.
const INSTALLED_MARK: &str = "node_modules/.package-lock.json";

/// The steps of the TypeScript side.
pub(crate) struct TypeScriptTests<'a> {
    workspace: &'a Workspace,
    folder: PathBuf,
}

impl<'a> TypeScriptTests<'a> {
    /// Prepares nothing, runs nothing.
    pub(crate) fn new(workspace: &'a Workspace) -> Self {
        Self {
            workspace,
            folder: workspace.root().join("ts-client"),
        }
    }

    /// Installs the packages of the lock file, unless they are there.
    pub(crate) fn install(&self) -> Result<()> {
        if !works(&mut command("npm", ["--version"])) {
            let remedy = "install Node.js 20 or newer, which brings npm".to_owned();
            return Err(XtaskError::MissingTool { tool: "npm", remedy });
        }
        if is_newer(
            &self.folder.join(INSTALLED_MARK),
            &self.folder.join("package-lock.json"),
        ) {
            return Ok(());
        }
        println!("Installing the npm packages of ts-client.");
        run(&mut self.npm(&["ci", "--no-audit", "--no-fund"]))
    }

    /// Runs one script of package.json.
    pub(crate) fn script(&self, name: &str) -> Result<()> {
        run(&mut self.npm(&["run", "--silent", name]))
    }

    /// Runs every TypeScript test, against a sidecar of this build too.
    pub(crate) fn vitest(&self) -> Result<Counts> {
        let report = self.workspace.build_output().join("vitest.json");
        if report.exists() {
            fs::remove_file(&report).while_trying("remove", &report)?;
        }
        let outcome = run(&mut self.vitest_command(&report)?);
        if !report.exists() {
            return Err(outcome.err().unwrap_or_else(|| unreadable("it isn't there")));
        }
        let text = fs::read_to_string(&report).while_trying("read", &report)?;
        let counts = vitest_counts(&text).ok_or_else(|| unreadable("it has no counts"))?;
        // A file that doesn't load has no failed test in it, and vitest's own word counts.
        if counts.failed == 0 {
            outcome.map(|()| counts)
        } else {
            Ok(counts)
        }
    }

    fn vitest_command(&self, report: &Path) -> Result<Command> {
        let sidecar = self
            .workspace
            .build_output()
            .join("sidecar")
            .with_extension(std::env::consts::EXE_EXTENSION);
        let mut vitest = self.npm(&[
            "exec",
            "--no",
            "--",
            "vitest",
            "run",
            "--reporter=default",
            "--reporter=json",
        ]);
        vitest.arg(format!("--outputFile.json={}", report.display()));
        vitest
            .env("SIDECAR_BIN", sidecar)
            .env("SIDECAR_MODEL", model::ensure(self.workspace)?);
        Ok(vitest)
    }

    fn npm(&self, arguments: &[&str]) -> Command {
        let mut npm = command("npm", arguments);
        npm.current_dir(&self.folder);
        npm
    }
}

/// The sums in vitest's JSON report; a skipped test counts as failed, since it showed nothing.
pub(super) fn vitest_counts(report: &str) -> Option<Counts> {
    let report: Value = serde_json::from_str(report).ok()?;
    let total = report["numTotalTests"].as_u64()?;
    let passed = report["numPassedTests"].as_u64()?;
    Some(Counts {
        passed,
        failed: total.checked_sub(passed)?,
    })
}

fn is_newer(file: &Path, than: &Path) -> bool {
    let modified = |path: &Path| fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    modified(file)
        .zip(modified(than))
        .is_some_and(|(file, than)| file >= than)
}

fn unreadable(reason: &str) -> XtaskError {
    XtaskError::Report {
        what: "vitest's report".to_owned(),
        reason: reason.to_owned(),
    }
}
