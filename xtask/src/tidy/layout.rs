//! Rules about files as a whole: how long, how large, what they are called, and how they begin.

use super::{Finding, file::File};

/// A file reads in one sitting.
const LONGEST_FILE_LINES: usize = 400;

/// An example is what one reads first, whole, on one screen.
const LONGEST_EXAMPLE_LINES: usize = 60;

/// Characters of a line of prose, as of a line of code in rustfmt.toml.
const LONGEST_PROSE_LINE: usize = 120;

/// Large enough for every lock file and fixture, too small for a model that slipped in.
const LARGEST_FILE_BYTES: usize = 1 << 20;

/// Code has at most 400 lines; tests and generated files may have more.
pub(super) fn file_fits_one_sitting(file: &File, findings: &mut Vec<Finding>) {
    let is_code = [".rs", ".ts", ".tsx", ".sh", ".py"]
        .iter()
        .any(|ending| file.path.ends_with(ending));
    let lines = file.text.lines().count();
    if is_code && lines > LONGEST_FILE_LINES && !file.is_test() && !file.is_generated() {
        file.report(
            0,
            format!("{lines} lines; split it (at most {LONGEST_FILE_LINES})"),
            findings,
        );
    }
}

/// Comments and documents wrap; tables, and what is fenced in as code, may be longer.
pub(super) fn prose_is_wrapped(file: &File, findings: &mut Vec<Finding>) {
    let is_document = file.path.ends_with(".md");
    if file.is_generated() || !(is_document || file.path.ends_with(".rs") || file.path.ends_with(".ts")) {
        return;
    }
    let (mut start, mut is_fenced) = (0, false);
    for line in file.text.split_inclusive('\n') {
        let text = line.trim();
        is_fenced ^= is_document && text.starts_with("```");
        let is_prose = text.starts_with("//") || is_document && !is_fenced && !text.starts_with('|');
        if is_prose && line.trim_end().chars().count() > LONGEST_PROSE_LINE {
            file.report(
                start,
                format!("prose wraps at {LONGEST_PROSE_LINE} characters"),
                findings,
            );
        }
        start += line.len();
    }
}

/// An example fits a screen.
pub(super) fn example_fits_a_screen(file: &File, findings: &mut Vec<Finding>) {
    let lines = file.text.lines().count();
    if file.path.starts_with("crates/") && file.path.contains("/examples/") && lines > LONGEST_EXAMPLE_LINES {
        let message = format!("{lines} lines; an example has at most {LONGEST_EXAMPLE_LINES}");
        file.report(0, message, findings);
    }
}

/// Nothing large is committed: models are fetched, fixtures are small.
pub(super) fn file_is_small(file: &File, findings: &mut Vec<Finding>) {
    if file.bytes > LARGEST_FILE_BYTES {
        file.report(
            0,
            format!("{} bytes; nothing over {LARGEST_FILE_BYTES} is committed", file.bytes),
            findings,
        );
    }
}

/// The first line of a Rust file says what it is for.
pub(super) fn starts_with_its_purpose(file: &File, findings: &mut Vec<Finding>) {
    if file.rust.is_some() && !file.is_test() && !file.is_generated() && !file.text.starts_with("//! ") {
        file.report(0, "begin with `//!` and what this file is for", findings);
    }
}
