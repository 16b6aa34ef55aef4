//! The arrows between our crates: what `crates/ARCHITECTURE.md` draws is what the manifests say.
//!
//! deny.toml forbids the same arrows for the resolved graph; here the drawing itself is kept true.

use std::{collections::BTreeMap, fs};

use super::Finding;
use crate::{
    error::{Context as _, Result},
    workspace::Workspace,
};

const DRAWING: &str = "crates/ARCHITECTURE.md";
const OPENING: &str = "```arrows\n";

/// Published names begin with it; the drawing uses the short ones.
const PREFIX: &str = "streaming-llm-";

/// What each crate uses of ours, by short names.
pub(super) type Arrows<'a> = BTreeMap<&'a str, Vec<&'a str>>;

/// Compares the drawing with the manifests.
pub(super) fn check(workspace: &Workspace, findings: &mut Vec<Finding>) -> Result<()> {
    let path = workspace.root().join(DRAWING);
    let text = fs::read_to_string(&path).while_trying("read", &path)?;
    let packages: Vec<_> = workspace.packages().collect();
    let ours: Vec<&str> = packages.iter().map(|package| package.name).collect();
    let actual = packages.iter().map(|package| {
        let own = package.dependencies().filter(|name| ours.contains(name)).map(short);
        (short(package.name), own.collect())
    });
    compare(&drawn(&text), &actual.collect(), findings);
    Ok(())
}

/// The lines `from -> to to` of the drawing.
pub(super) fn drawn(text: &str) -> Arrows<'_> {
    let drawing = text
        .split_once(OPENING)
        .and_then(|(_, rest)| rest.split_once("```"))
        .map_or("", |(drawing, _)| drawing);
    let lines = drawing.lines().filter_map(|line| line.split_once("->"));
    lines
        .map(|(from, to)| (from.trim(), to.split_whitespace().collect()))
        .collect()
}

/// Reports every crate and every arrow that is only on one side.
pub(super) fn compare(drawn: &Arrows<'_>, actual: &Arrows<'_>, findings: &mut Vec<Finding>) {
    let mut report = |message: String| {
        findings.push(Finding {
            path: DRAWING.to_owned(),
            line: 1,
            message,
        })
    };
    for (from, uses) in actual {
        let Some(may_use) = drawn.get(from) else {
            report(format!("`{from}` isn't drawn"));
            continue;
        };
        for to in uses.iter().filter(|to| !may_use.contains(to)) {
            report(format!("`{from}` uses `{to}`, and no arrow is drawn"));
        }
    }
    for (from, may_use) in drawn {
        let Some(uses) = actual.get(from) else {
            report(format!("`{from}` is drawn and doesn't exist"));
            continue;
        };
        for to in may_use.iter().filter(|to| !uses.contains(to)) {
            report(format!("`{from} -> {to}` is drawn and isn't used"));
        }
    }
}

fn short(name: &str) -> &str {
    name.strip_prefix(PREFIX).unwrap_or(name)
}
