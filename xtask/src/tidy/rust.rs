//! Rules about Rust code. They hold in code that this platform and these features don't compile, too.

use super::{Finding, blank::Blanked, file::File};

/// The only files that may be unsafe, each for one thing that can't be said safely.
const UNSAFE_FILES: [&str; 9] = [
    "crates/engine-burn/src/threads.rs",
    "crates/kv-cache/src/kernel/avx2.rs",
    "crates/kv-cache/src/kernel/neon.rs",
    "crates/large-pages/src/lib.rs",
    "crates/model-files/src/mapped.rs",
    "crates/quant/src/kernel/avx2.rs",
    "crates/quant/src/kernel/avx2/panel.rs",
    "crates/quant/src/kernel/neon.rs",
    "crates/quant/src/kernel/vnni.rs",
];

/// Code that isn't finished, or a look at a value that was forgotten.
const UNFINISHED_CODE: [&str; 4] = ["todo!", "unimplemented!", "dbg!", "#[ignore"];

/// What ends a whole thread where an error would end one turn.
const PANICS: [&str; 2] = [".unwrap()", "panic!("];

/// An `allow` or `expect` says why.
pub(super) fn lint_exception_has_a_reason(file: &File, findings: &mut Vec<Finding>) {
    let Some(Blanked { code, .. }) = &file.rust else { return };
    for (start, _) in code.match_indices("#[").chain(code.match_indices("#![")) {
        let attribute = attribute(&code[start..]);
        let lints = ["allow(", "expect("].iter().any(|lint| attribute.contains(lint));
        if lints && !attribute.contains("reason") {
            file.report(start, "a lint is switched off without `reason = \"…\"`", findings);
        }
    }
}

/// Every unsafe block and implementation has a `SAFETY:` comment right above or beside it.
pub(super) fn unsafe_is_safe_for_a_reason(file: &File, findings: &mut Vec<Finding>) {
    let Some(Blanked { code, comments }) = &file.rust else {
        return;
    };
    for start in unsafe_keywords(code) {
        let what_follows = code[start + "unsafe".len()..].trim_start();
        let needs_reason = what_follows.starts_with('{') || what_follows.starts_with("impl");
        if needs_reason && !nearby_comment(code, comments, start).contains("SAFETY:") {
            file.report(start, "`unsafe` without a `// SAFETY:` comment above it", findings);
        }
    }
}

/// Unsafe code lies where it can be found.
pub(super) fn unsafe_is_where_it_may_be(file: &File, findings: &mut Vec<Finding>) {
    let Some(Blanked { code, .. }) = &file.rust else { return };
    if let Some(start) = unsafe_keywords(code)
        .next()
        .filter(|_| !UNSAFE_FILES.contains(&file.path.as_str()))
    {
        file.report(
            start,
            format!("`unsafe` is only for {}", UNSAFE_FILES.join(", ")),
            findings,
        );
    }
}

/// Nothing unfinished, and no test that doesn't run.
pub(super) fn no_unfinished_macro(file: &File, findings: &mut Vec<Finding>) {
    let Some(Blanked { code, .. }) = &file.rust else { return };
    for unfinished in UNFINISHED_CODE {
        for (start, _) in code.match_indices(unfinished) {
            file.report(start, format!("`{unfinished}` must not stay"), findings);
        }
    }
}

/// Outside tests, a failure is an error; an invariant is an `expect` that states it.
pub(super) fn library_does_not_panic(file: &File, findings: &mut Vec<Finding>) {
    let Some(code) = file.library_code() else { return };
    for panic in PANICS {
        for (start, _) in code.match_indices(panic) {
            file.report(
                start,
                format!("`{panic}` in library code; return an error, or `expect` an invariant"),
                findings,
            );
        }
    }
}

/// A test waits for what it waits for, never for time.
pub(super) fn test_does_not_sleep(file: &File, findings: &mut Vec<Finding>) {
    let Some(Blanked { code, .. }) = file.rust.as_ref().filter(|_| file.is_test()) else {
        return;
    };
    for (start, _) in code.match_indices("sleep(") {
        file.report(start, "`sleep` in a test; wait for the event itself", findings);
    }
}

/// An attribute from its `#` to the bracket that closes it.
fn attribute(code: &str) -> &str {
    let mut depth = 0_usize;
    for (at, byte) in code.bytes().enumerate() {
        match byte {
            b'[' => depth += 1,
            b']' if depth == 1 => return &code[..=at],
            b']' => depth -= 1,
            _ => {}
        }
    }
    code
}

fn unsafe_keywords(code: &str) -> impl Iterator<Item = usize> {
    let is_word = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    let bytes = code.as_bytes();
    let starts = code.match_indices("unsafe").map(|(start, _)| start);
    starts.filter(move |&start| {
        let before = start.checked_sub(1).and_then(|at| bytes.get(at));
        !is_word(before) && !is_word(bytes.get(start + "unsafe".len()))
    })
}

/// The comments on the line of a place and on the lines right above it, up to the end of another statement.
fn nearby_comment<'a>(code: &str, comments: &'a str, at: usize) -> String {
    let line_idx = code[..at].matches('\n').count();
    let lines: Vec<(&str, &'a str)> = code.lines().zip(comments.lines()).collect();
    let above = lines[..line_idx]
        .iter()
        .rev()
        .take_while(|(code, _)| !code.trim_end().ends_with([';', '}', '{']));
    std::iter::once(&lines[line_idx])
        .chain(above)
        .map(|(_, comment)| *comment)
        .collect()
}
