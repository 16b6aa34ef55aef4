//! Rules about TypeScript that its compiler leaves open.

use super::{Finding, file::File};

/// Tests that don't run, and checks that are silenced.
const SWITCHED_OFF: [&str; 6] = [
    ".only(",
    ".skip(",
    ".todo(",
    "@ts-ignore",
    "@ts-nocheck",
    "eslint-disable",
];

/// What a library for other people's programs never does.
const UNTYPED_OR_LOUD: [&str; 4] = [": any", "as any", "<any>", "console."];

/// Every test runs, and every type is checked.
pub(super) fn nothing_is_switched_off(file: &File, findings: &mut Vec<Finding>) {
    if is_typescript(file) {
        report_each(file, &SWITCHED_OFF, "must not stay", findings);
    }
}

/// The client has no `any` and prints nothing.
pub(super) fn client_is_typed_and_quiet(file: &File, findings: &mut Vec<Finding>) {
    if is_typescript(file) && file.path.contains("/src/") && !file.is_generated() {
        report_each(file, &UNTYPED_OR_LOUD, "has no place in the client", findings);
    }
}

fn is_typescript(file: &File) -> bool {
    file.path.ends_with(".ts") || file.path.ends_with(".tsx")
}

fn report_each(file: &File, words: &[&str], why: &str, findings: &mut Vec<Finding>) {
    for word in words {
        for (at, _) in file
            .text
            .match_indices(word)
            .filter(|(at, _)| !is_comment(&file.text, *at))
        {
            file.report(at, format!("`{word}` {why}"), findings);
        }
    }
}

/// Whether a line is a comment; documentation may show a `console.log`.
fn is_comment(text: &str, at: usize) -> bool {
    let start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    let line = text[start..].trim_start();
    let silences = line.starts_with("// @ts-") || line.starts_with("// eslint-");
    !silences && ["//", "*", "/*"].iter().any(|comment| line.starts_with(comment))
}
