//! Rules about words: names that say nothing, marks of unfinished work, and what ties the tree to one machine.

use super::{Finding, file::File};

/// Names under which anything could lie.
const EMPTY_NAMES: [&str; 7] = ["util", "utils", "common", "helper", "helpers", "manager", "misc"];

/// What is written down before it is done.
const UNFINISHED_MARKS: [&str; 3] = ["TODO", "FIXME", "XXX"];

/// Package registries are used through their clients, wherever their configuration says. In two parts, so
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

/// Words of our own for what the field has a term for, with that term; none is part of a name.
const PRIVATE_NAMES: [(&str, &str); 20] = [
    ("anew", "again"),
    ("bell", "wakeup"),
    ("figures", "metrics"),
    ("goodbye", "close"),
    ("hear", "receive"),
    ("heard", "received"),
    ("heed", "handle"),
    ("judge", "conformance test, or checker"),
    ("lane", "queue"),
    ("lanes", "queues"),
    ("ledger", "state, or records"),
    ("lives", "generations"),
    ("nobody", "none"),
    ("obey", "handle"),
    ("patience", "wait mode"),
    ("said", "reported, or sent"),
    ("shelf", "pool"),
    ("tell", "notify, or report"),
    ("told", "notified"),
    ("whoever", "caller, reader, owner"),
];

/// Where a word of the list is the field's term: lanes of SIMD registers.
const LANES_OF_REGISTERS: [&str; 2] = ["crates/kv-cache/", "crates/quant/"];

/// Phrases that a stranger has to read twice. Only in prose: a text that the sidecar shows keeps its words.
const PRIVATE_PHRASES: [(&str, &str); 14] = [
    (" anew", "again, from the start"),
    (" is none", "is missing, is malformed"),
    (" are none", "are missing, are malformed"),
    ("for ever", "forever, without end"),
    ("goodbye", "close frame"),
    ("heeded", "handled"),
    ("is told", "is notified, is sent"),
    ("are told", "are notified, are sent"),
    ("nobody", "no reader, no caller, none"),
    ("short way", "fast path"),
    ("See the module", "what the type is"),
    ("the bell", "the wakeup"),
    ("whatever comes", "later input"),
    ("whoever", "the caller, the reader, the owner"),
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

/// No name has a word in it that only we use.
pub(super) fn name_has_no_private_word(file: &File, findings: &mut Vec<Finding>) {
    let Some(code) = file.rust.as_ref().map(|rust| &rust.code) else {
        return;
    };
    let mut at = 0;
    while let Some(start) = code[at..].find(is_name_character).map(|len| at + len) {
        let name = leading_word(&code[start..]);
        at = start + name.len().max(1);
        for (word, term) in PRIVATE_NAMES.iter().filter(|(word, _)| has_word(name, word)) {
            if word.starts_with("lane") && LANES_OF_REGISTERS.iter().any(|folder| file.path.starts_with(folder)) {
                continue;
            }
            file.report(start, format!("`{name}`: say {term} in place of `{word}`"), findings);
        }
    }
}

/// No phrase in a comment or a document that only we use.
pub(super) fn prose_has_no_private_phrase(file: &File, findings: &mut Vec<Finding>) {
    let prose = match &file.rust {
        Some(rust) => &rust.comments,
        None if file.path.ends_with(".md") => &file.text,
        None => return,
    };
    let prose = prose.to_lowercase();
    for (phrase, term) in PRIVATE_PHRASES {
        for (at, _) in prose.match_indices(&phrase.to_lowercase()) {
            let ends = !prose[at + phrase.len()..].starts_with(char::is_alphanumeric);
            // "If there is none" is everybody's.
            if ends && !prose[..at].ends_with("there") {
                file.report(at, format!("`{}`: say {term}", phrase.trim()), findings);
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

/// Whether a name in either case style has a word among its words.
fn has_word(name: &str, word: &str) -> bool {
    name.split('_').any(|part| {
        let humps = part.match_indices(char::is_uppercase).map(|(at, _)| at);
        let mut starts: Vec<usize> = std::iter::once(0).chain(humps).chain([part.len()]).collect();
        starts.dedup();
        starts
            .windows(2)
            .any(|ends| part[ends[0]..ends[1]].eq_ignore_ascii_case(word))
    })
}

fn is_name_character(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
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
