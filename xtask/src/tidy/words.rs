//! Rules about words: names that say nothing, marks of unfinished work, and what ties the tree to one machine.

use super::{Finding, file::File};

/// Names under which anything could lie.
const EMPTY_NAMES: [&str; 7] = ["util", "utils", "common", "helper", "helpers", "manager", "misc"];

/// What is written down before it is done.
const UNFINISHED_MARKS: [&str; 3] = ["TODO", "FIXME", "XXX"];

/// Package registries are used through their clients, wherever those are told to look. In two parts, so
/// that this file doesn't name them.
const REGISTRY_HOSTS: [&str; 7] = [
    concat!("index.crates", ".io"),
    concat!("static.crates", ".io"),
    concat!("://crates", ".io"),
    concat!("pypi", ".org"),
    concat!("pythonhosted", ".org"),
    concat!("registry.npmjs", ".org"),
    concat!("deb.debian", ".org"),
];

/// Where one person's files lie.
const MACHINE_PATHS: [&str; 5] = [
    concat!("/ro", "ot/"),
    concat!("/ho", "me/"),
    concat!("/Us", "ers/"),
    concat!("/wo", "rk/"),
    concat!(":\\Us", "ers\\"),
];

/// What declares a name, in Rust and in TypeScript.
const DECLARATIONS: [&str; 10] = [
    "fn ",
    "struct ",
    "enum ",
    "trait ",
    "type ",
    "mod ",
    "union ",
    "class ",
    "interface ",
    "function ",
];

/// No file or folder has a name that says nothing.
pub(super) fn path_says_what_it_is(file: &File, findings: &mut Vec<Finding>) {
    for name in file.path.split('/') {
        let stem = name.split('.').next().unwrap_or(name);
        if says_nothing(stem) {
            file.report(0, format!("`{name}` says nothing; name it for what it holds"), findings);
        }
    }
}

/// No item has a name that says nothing, or ends in a word that says nothing.
pub(super) fn declared_name_says_what_it_is(file: &File, findings: &mut Vec<Finding>) {
    let Some(code) = file.rust.as_ref().map(|rust| &rust.code) else {
        return;
    };
    for declaration in DECLARATIONS {
        for (at, _) in code.match_indices(declaration) {
            let name = leading_word(&code[at + declaration.len()..]);
            if is_word_start(code, at) && says_nothing(name) {
                file.report(at, format!("`{name}` says nothing; name it for what it does"), findings);
            }
        }
    }
}

/// Nothing is left for later in a comment.
pub(super) fn no_unfinished_mark(file: &File, findings: &mut Vec<Finding>) {
    let Some(comments) = file.rust.as_ref().map(|rust| &rust.comments) else {
        return;
    };
    for mark in UNFINISHED_MARKS {
        for (at, _) in comments
            .match_indices(mark)
            .filter(|(at, _)| leading_word(&comments[*at..]) == mark)
        {
            file.report(at, format!("`{mark}`: finish it, or say what is so and why"), findings);
        }
    }
}

/// No package registry is named.
pub(super) fn no_registry_host(file: &File, findings: &mut Vec<Finding>) {
    for host in REGISTRY_HOSTS {
        if let Some(at) = file.text.find(host) {
            file.report(
                at,
                format!("names the registry `{host}`; its client knows where it is"),
                findings,
            );
        }
    }
}

/// No path of one machine is named.
pub(super) fn no_machine_path(file: &File, findings: &mut Vec<Finding>) {
    for folder in MACHINE_PATHS {
        // `$HOME/.cache` and `https://host/home/` are no such paths.
        let mut starts = file.text.match_indices(folder).map(|(at, _)| at);
        if let Some(at) = starts.find(|&at| is_word_start(&file.text, at)) {
            file.report(at, format!("`{folder}…` is a path of one machine"), findings);
        }
    }
}

/// Whether the last word of a name, in either case style, is an empty one.
fn says_nothing(name: &str) -> bool {
    let last_hump = name.rfind(char::is_uppercase).map_or(name, |at| &name[at..]);
    let last_word = last_hump.rsplit(['_', '-']).next().unwrap_or(last_hump).to_lowercase();
    EMPTY_NAMES.contains(&last_word.as_str())
}

fn leading_word(text: &str) -> &str {
    let end = text
        .find(|character: char| !character.is_alphanumeric() && character != '_')
        .unwrap_or(text.len());
    &text[..end]
}

fn is_word_start(text: &str, at: usize) -> bool {
    let before = text[..at].chars().next_back();
    !before.is_some_and(|character| character.is_alphanumeric() || "_.}~".contains(character))
}
