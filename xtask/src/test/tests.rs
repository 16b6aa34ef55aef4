//! The closing line can't be right unless every runner's report is read right.

use super::{
    rust::{doc_test_counts, junit_counts},
    tally::{Counts, Tally},
    typescript::vitest_counts,
};
use crate::error::XtaskError;

#[track_caller]
fn check(counts: Option<Counts>, expected: Option<(u64, u64)>) {
    assert_eq!(counts, expected.map(|(passed, failed)| Counts { passed, failed }));
}

#[test]
fn nextest_reports_are_read() {
    let report = |attributes: &str| {
        format!("<?xml version=\"1.0\"?>\n<testsuites name=\"nextest-run\" {attributes} time=\"1.2\">\n</testsuites>")
    };
    check(
        junit_counts(&report("tests=\"12\" failures=\"0\" errors=\"0\"")),
        Some((12, 0)),
    );
    check(
        junit_counts(&report("tests=\"12\" failures=\"2\" errors=\"1\"")),
        Some((9, 3)),
    );
    check(junit_counts(&report("tests=\"1\" failures=\"2\" errors=\"0\"")), None);
    check(junit_counts("<testsuites>"), None);
    check(junit_counts(""), None);
}

#[test]
fn documentation_tests_are_summed_over_crates() {
    let printed = "running 2 tests\n..\ntest result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out\n\
                   test result: FAILED. 10 passed; 3 failed; 0 ignored\nall done, 9 passed; 9 failed\n";
    check(Some(doc_test_counts(printed)), Some((12, 3)));
    check(Some(doc_test_counts("")), Some((0, 0)));
}

#[test]
fn vitest_reports_are_read() {
    check(
        vitest_counts(r#"{"numTotalTests": 7, "numPassedTests": 7}"#),
        Some((7, 0)),
    );
    check(
        vitest_counts(r#"{"numTotalTests": 7, "numPassedTests": 4, "numPendingTests": 1}"#),
        Some((4, 3)),
    );
    check(vitest_counts(r#"{"numPassedTests": 4}"#), None);
    check(vitest_counts("not json"), None);
}

#[test]
fn preparing_counts_only_when_it_fails() {
    let mut tally = Tally::default();
    assert!(tally.prepare("a tool", || Ok(())));
    assert!(!tally.succeeded(), "nothing has been tested yet");
    tally.check("a check", || Ok(()));
    tally.count("a runner", || Ok(Counts { passed: 5, failed: 0 }));
    assert!(tally.succeeded());
    assert!(!tally.prepare("a tool", || Err(XtaskError::Untidy { count: 1 })));
    assert!(!tally.succeeded());
    check(Some(tally.counts()), Some((6, 1)));
}

#[test]
fn a_failing_check_doesnt_stop_the_next() {
    let mut tally = Tally::default();
    tally.check("bad", || Err(XtaskError::Untidy { count: 1 }));
    tally.check("good", || Ok(()));
    tally.count("runner", || Ok(Counts { passed: 2, failed: 1 }));
    check(Some(tally.counts()), Some((3, 2)));
}
