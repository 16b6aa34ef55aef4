//! No circles: of the children of a module, each with all that is below it, none uses another that uses it in turn.
//!
//! A parent may use its children and they may use it; that is nesting, not a circle. So the files of a crate can be
//! read one after the other, and each piece can be moved with only those that it uses.

use std::collections::{BTreeMap, BTreeSet};

use super::{Finding, file::File, modules::ModuleTree};

/// Reports every circle.
pub(super) fn check(files: &[File], findings: &mut Vec<Finding>) {
    for tree in ModuleTree::all(files) {
        for circle in circles(&tree) {
            if let Some(file) = tree.file(&circle[0]).or_else(|| tree.file(&[])) {
                let names: Vec<String> = circle.iter().map(|module| module.join("::")).collect();
                let message = format!(
                    "a circle of modules: {}; let only one side know the other",
                    names.join(", ")
                );
                file.report(0, message, findings);
            }
        }
    }
}

/// The sets of siblings that use each other in a circle, at every level of a crate.
pub(super) fn circles<'a>(tree: &ModuleTree<'a>) -> Vec<Vec<Vec<&'a str>>> {
    let mut graphs: BTreeMap<Vec<&str>, BTreeMap<&str, BTreeSet<&str>>> = BTreeMap::new();
    for (from, targets) in tree.uses() {
        for to in targets {
            let shared = from.iter().zip(to).take_while(|(a, b)| a == b).count();
            // One of them is above the other.
            if shared == from.len() || shared == to.len() {
                continue;
            }
            let graph = graphs.entry(from[..shared].to_vec()).or_default();
            graph.entry(from[shared]).or_default().insert(to[shared]);
        }
    }
    let found = graphs.iter().flat_map(|(parent, graph)| {
        let with_parent = move |name: &&'a str| [parent.as_slice(), &[*name]].concat();
        knots(graph)
            .into_iter()
            .map(move |knot| knot.iter().map(with_parent).collect())
    });
    found.collect()
}

/// The sets of at least two names of which each reaches every other.
fn knots<'a>(graph: &BTreeMap<&'a str, BTreeSet<&'a str>>) -> Vec<Vec<&'a str>> {
    let reached: BTreeMap<&str, BTreeSet<&str>> = graph.keys().map(|name| (*name, reachable(graph, name))).collect();
    let mut knots: Vec<Vec<&str>> = Vec::new();
    for (name, reached_from_it) in &reached {
        if !reached_from_it.contains(name) || knots.iter().any(|knot| knot.contains(name)) {
            continue;
        }
        let back = |other: &&&str| reached.get(**other).is_some_and(|reached| reached.contains(name));
        knots.push(reached_from_it.iter().filter(back).copied().collect());
    }
    knots
}

/// Everything that can be reached from a name in one step or more.
fn reachable<'a>(graph: &BTreeMap<&'a str, BTreeSet<&'a str>>, from: &str) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut next: Vec<&str> = graph.get(from).into_iter().flatten().copied().collect();
    while let Some(name) = next.pop() {
        if reached.insert(name) {
            next.extend(graph.get(name).into_iter().flatten());
        }
    }
    reached
}
