//! WebSocket conformance: the cases of the Autobahn suite, as `kosoku` runs them, against the sidecar's socket layer.
//!
//! The echo (`ws_echo`) is started on a free port and ended with this step; each case counts as one test. Compression
//! (12 and 13) is left out, since the sidecar offers none; the cases of up to 16 MiB (9) run. All of it takes some ten
//! seconds.

use std::{fs, time::Duration};

use serde_json::Value;

use super::{python::PythonTools, tally::Counts};
use crate::{
    error::{Context as _, Result, XtaskError},
    process::{Background, command, run_within},
    workspace::Workspace,
    ws_echo,
};

/// How the line begins with which the echo says where it listens.
const LISTENING: &str = "listening ";

/// Cases at a time: they wait more than they compute.
const PARALLELISM: &str = "4";

/// Groups of cases that are about compression.
const LEFT_OUT: [&str; 2] = ["12.*", "13.*"];

/// Many times what the cases take on two busy cores.
const LIMIT: Duration = Duration::from_secs(120);

/// Where `kosoku` leaves its report, below the build output.
const REPORT_FOLDER: &str = "websocket-conformance";

/// Runs the cases and counts them.
pub(crate) fn test(workspace: &Workspace, python: &PythonTools<'_>) -> Result<Counts> {
    let folder = workspace.build_output().join(REPORT_FOLDER);
    if folder.exists() {
        fs::remove_dir_all(&folder).while_trying("remove", &folder)?;
    }
    let (_echo, address) = Background::start(&mut command(&ws_echo::program(workspace), ["0"]), LISTENING)?;
    let mut kosoku = command(&python.program("kosoku"), ["--mode", "fuzzingclient"]);
    kosoku.args(["--parallelism", PARALLELISM, "--outdir"]).arg(&folder);
    kosoku.args(LEFT_OUT.iter().flat_map(|cases| ["--exclude", cases]));
    let outcome = run_within(kosoku.arg(address), LIMIT);
    let report = folder.join("index.json");
    if !report.exists() {
        return Err(outcome.err().unwrap_or_else(|| unreadable("it isn't there")));
    }
    let text = fs::read_to_string(&report).while_trying("read", &report)?;
    let counts = case_counts(&text).ok_or_else(|| unreadable("it has no cases"))?;
    // `kosoku` may fail without a failed case; then its exit status counts.
    if counts.failed == 0 {
        outcome.map(|()| counts)
    } else {
        Ok(counts)
    }
}

/// The cases of a report; those that say how a server may be, rather than has to be, count as passed.
pub(super) fn case_counts(report: &str) -> Option<Counts> {
    let report: Value = serde_json::from_str(report).ok()?;
    let mut counts = Counts::default();
    for case in report
        .as_object()?
        .values()
        .filter_map(Value::as_object)
        .flat_map(|cases| cases.values())
    {
        let is_good = |key: &str| matches!(case[key].as_str(), Some("OK" | "NON-STRICT" | "INFORMATIONAL"));
        if is_good("behavior") && is_good("behaviorClose") {
            counts.passed += 1;
        } else {
            counts.failed += 1;
        }
    }
    (counts != Counts::default()).then_some(counts)
}

fn unreadable(reason: &str) -> XtaskError {
    XtaskError::Report {
        what: "the report of the WebSocket cases".to_owned(),
        reason: reason.to_owned(),
    }
}
