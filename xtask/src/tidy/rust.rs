//! Rules about Rust code that no lint checks. They hold in code that isn't compiled for this platform, too.

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

/// Every test runs; no lint refuses an ignored one that gives a reason.
pub(super) fn no_test_is_ignored(file: &File, findings: &mut Vec<Finding>) {
    let Some(Blanked { code, .. }) = &file.rust else { return };
    for (start, _) in code.match_indices("#[ignore") {
        file.report(start, "`#[ignore`: a test that doesn't run must not stay", findings);
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

fn unsafe_keywords(code: &str) -> impl Iterator<Item = usize> {
    let is_word = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    let bytes = code.as_bytes();
    let starts = code.match_indices("unsafe").map(|(start, _)| start);
    starts.filter(move |&start| {
        let before = start.checked_sub(1).and_then(|at| bytes.get(at));
        !is_word(before) && !is_word(bytes.get(start + "unsafe".len()))
    })
}
