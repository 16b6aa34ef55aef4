//! The closing line can't be right unless every runner's report is read right, nor a check unless it finds what is
//! wrong.

use std::{fs, path::Path, time::Duration};

use serde_json::json;

use super::{
    autobahn::case_counts,
    docker::{builds_from, comments_as_values, is_in_context, rust_version},
    python::{is_made_from, stamp_text},
    rust::{doc_test_counts, junit_counts},
    tally::{Counts, Step, Tally, table},
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
fn reports_of_the_websocket_cases_are_read() {
    let report = |cases: &str| format!(r#"{{"127.0.0.1:1": {{{cases}}}}}"#);
    let case = |behavior: &str, close: &str| format!(r#"{{"behavior": "{behavior}", "behaviorClose": "{close}"}}"#);
    let cases = [
        ("1.1.1", case("OK", "OK")),
        ("6.4.1", case("NON-STRICT", "OK")),
        ("7.1.6", case("INFORMATIONAL", "INFORMATIONAL")),
        ("3.2", case("FAILED", "OK")),
        ("3.3", case("OK", "WRONG CODE")),
        ("12.1.1", case("UNIMPLEMENTED", "OK")),
        ("3.4", "{}".to_owned()),
    ];
    let cases = cases.map(|(name, case)| format!("{name:?}: {case}")).join(",");
    check(case_counts(&report(&cases)), Some((3, 4)));
    check(case_counts(&report("")), None);
    check(case_counts("{}"), None);
    check(case_counts("not json"), None);
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
    let mut tally = Tally::new();
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
    let mut tally = Tally::new();
    tally.check("bad", || Err(XtaskError::Untidy { count: 1 }));
    tally.check("good", || Ok(()));
    tally.count("runner", || Ok(Counts { passed: 2, failed: 1 }));
    check(Some(tally.counts()), Some((3, 2)));
}

#[test]
fn an_environment_is_made_again_when_its_list_or_its_python_changes() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let stamp = folder.path().join("stamp");
    let wanted = stamp_text("Python 3.11.7\n", "ollama==0.6.3\n");
    assert!(!is_made_from(&stamp, &wanted), "nothing is there yet");
    fs::write(&stamp, &wanted).expect("a temporary folder can be written");
    assert!(is_made_from(&stamp, &wanted));
    assert!(!is_made_from(&stamp, &stamp_text("Python 3.12.0\n", "ollama==0.6.3\n")));
    assert!(!is_made_from(&stamp, &stamp_text("Python 3.11.7\n", "ollama==0.6.4\n")));
}

#[test]
fn a_service_that_is_built_from_elsewhere_is_found() {
    let root = tempfile::tempdir().expect("a temporary folder can be made");
    let folder = root.path().join("docker/workflow-runner");
    fs::create_dir_all(&folder).expect("a temporary folder can be written");
    fs::write(folder.join("Dockerfile"), "FROM scratch\n").expect("a temporary folder can be written");
    let config = |context: &Path, dockerfile: &str| {
        let build = json!({"context": context, "dockerfile": dockerfile});
        json!({"services": {"streaming-llm": {"build": build}}})
    };
    let ours = "docker/workflow-runner/Dockerfile";
    assert!(builds_from(&config(root.path(), ours), root.path()));
    assert!(!builds_from(&config(&folder, ours), root.path()));
    assert!(!builds_from(&config(root.path(), "Dockerfile"), root.path()));
    assert!(!builds_from(&json!({"services": {"sidecar": {}}}), root.path()));
    fs::remove_file(folder.join("Dockerfile")).expect("it was written above");
    assert!(!builds_from(&config(root.path(), ours), root.path()));
}

#[test]
fn a_comment_that_docker_compose_takes_for_a_value_is_found() {
    let names = |settings: &'static str| comments_as_values(settings).collect::<Vec<_>>();
    assert_eq!(
        names("KEY=   # asked\nPORT=8000  # where\n\nHOST=#x\n"),
        ["KEY", "HOST"]
    );
    assert_eq!(names("# KEY=   # asked\nKEY=\nNAME=a#b\nQUOTED=\"#\"\n"), [""; 0]);
}

#[test]
fn folders_outside_of_the_docker_context_are_found() {
    let list = "# what goes in\n*\n!Cargo.toml\n!crates\n";
    assert!(is_in_context(list, Path::new("crates/chat")));
    assert!(!is_in_context(list, Path::new("bins/sidecar")));
    assert!(!is_in_context("*\ncrates\n", Path::new("crates/chat")));
    assert!(!is_in_context(list, Path::new("")));
}

#[test]
fn the_rust_of_the_dockerfile_is_read() {
    assert_eq!(
        rust_version("# syntax\nARG RUST_VERSION=1.95\nFROM rust\n"),
        Some("1.95")
    );
    assert_eq!(rust_version("ARG RUST_VERSION\nFROM rust:1.95\n"), None);
}

#[test]
fn the_closing_table_has_every_long_step_and_the_sum_of_all() {
    let step = |name: &str, milliseconds| Step {
        name: name.to_owned(),
        took: Duration::from_millis(milliseconds),
        passed: true,
    };
    let steps = [step("tidy", 400), step("Rust tests", 61_200), step("packages", 300)];
    assert_eq!(
        table(&steps, Duration::from_secs(62)),
        "Rust tests        61.2 s\n2 short steps      0.7 s\nall steps         62.0 s\n"
    );
    assert_eq!(table(&[], Duration::ZERO), "all steps      0.0 s\n");
}
