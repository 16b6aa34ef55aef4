//! Runs `sidecar bench` on the toy model with tiny sizes, and checks that every part is reported. Nothing is timed.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use expect_test::{Expect, expect};
use serde_json::Value;

use crate::process::HOME_VARIABLE;

/// Runs the bench on the toy model, in an empty folder.
fn bench(arguments: &[&str], folder: &Path) -> Output {
    let toy: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/models/toy-llama.gguf");
    Command::new(env!("CARGO_BIN_EXE_sidecar"))
        .env_remove(HOME_VARIABLE)
        .args(["bench", "--threads=1", "--model"])
        .arg(toy)
        .args(arguments)
        .current_dir(folder)
        .env("STREAMING_LLM_DEVICE", "cpu")
        .env("STREAMING_LLM_RECENT_SIZE", "128")
        .output()
        .expect("the binary runs")
}

#[test]
fn every_part_is_measured() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let parts = "--load --memory=1 --prefill=16 --decode=8,24 --conversations=1,3 --first-token=4 --stream=30 --recompute=40 \
        --flat-cost=2 --token-parts=8 --repeat=2 --prompt-tokens=120 --answer-tokens=4 --stream-window=16 --json --ids \
        --svg=speeds.svg";
    let Output { status, stdout, stderr } = bench(&parts.split_whitespace().collect::<Vec<_>>(), folder.path());
    assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    let report: Value = serde_json::from_slice(&stdout).expect("stdout is JSON");
    assert_eq!(report["model"]["name"], "toy-llama.gguf");
    assert_eq!(report["device"], "CPU, 1 threads");
    assert_eq!(report["weights"], "Q8_0 1 MiB");
    assert!(report["load"]["readyMs"].as_f64() > Some(0.0));
    assert_eq!(report["memory"]["goes"].as_array().map(Vec::len), Some(5));
    assert_eq!(report["prefill"]["prompt"].as_array().map(Vec::len), Some(16));
    for (idx, context) in [8, 24].into_iter().enumerate() {
        let decode = &report["decode"][idx];
        assert_eq!((&decode["context"], &decode["tokens"]), (&context.into(), &4.into()));
        assert_eq!(decode["tokenMs"]["goes"].as_array().map(Vec::len), Some(2));
        assert!(decode["shareOfMemoryLimit"].as_f64() > Some(0.0));
    }
    for (idx, count) in [1_usize, 3].into_iter().enumerate() {
        let together = &report["conversations"][idx];
        assert_eq!(
            (&together["promptTokens"], &together["answerTokens"]),
            (&(count * 120).into(), &(count * 4).into())
        );
        let prompts = together["prompts"].as_array().expect("the ids were asked for");
        assert_eq!(prompts.len(), count);
        assert!(
            prompts.windows(2).all(|pair| pair[0] != pair[1]),
            "no prompt is another's"
        );
    }
    assert_eq!(report["firstToken"]["lateTurn"], 4);
    for part in ["newMs", "secondTurnMs", "lateTurnMs", "lateOverSecond"] {
        assert_eq!(
            report["firstToken"][part]["goes"].as_array().map(Vec::len),
            Some(2),
            "{part}"
        );
    }
    assert_eq!(report["recompute"]["seenTokens"], 40);
    assert!(report["tokenParts"]["layersMs"]["median"].as_f64() > Some(0.0));
    assert_eq!(
        report["flatCost"]["farOverYoung"]["goes"].as_array().map(Vec::len),
        Some(2)
    );
    assert_eq!(report["stream"]["tokenMs"]["goes"].as_array().map(Vec::len), Some(30));
    let drawing = std::fs::read_to_string(folder.path().join("speeds.svg")).expect("it was asked for");
    assert!(drawing.starts_with("<svg "));
}

#[test]
fn a_table_is_printed_unless_json_is_asked_for() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let Output { status, stdout, stderr } = bench(&["--prefill=4", "--repeat=1"], folder.path());
    assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    let table = String::from_utf8(stdout).expect("it is text");
    assert!(
        table.starts_with(
            "toy-llama.gguf, 0 MB, as Q8_0 1 MiB, CPU, 1 threads, 4 + 128 tokens in view\n\nprefill of 4 tokens  "
        ),
        "{table}"
    );
    assert_eq!(table.lines().count(), 3, "{table}");
}

/// Runs the bench, and compares its result as `EXIT_CODE STDERR`.
#[track_caller]
fn check_refused(arguments: &[&str], expected: Expect) {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let Output { status, stdout, stderr } = bench(arguments, folder.path());
    assert!(stdout.is_empty(), "stdout is for results");
    expected.assert_eq(&format!(
        "{} {}",
        status.code().unwrap_or(-1),
        String::from_utf8_lossy(&stderr).trim_end()
    ));
}

#[test]
fn impossible_measurements_are_refused_with_a_reason() {
    check_refused(
        &["--prefill=0"],
        expect!["1 error: --prefill has a 0, but must be at least 1"],
    );
    check_refused(
        &["--prefill", "--svg=nowhere/speeds.svg"],
        expect!["1 error: cannot write nowhere/speeds.svg: No such file or directory (os error 2)"],
    );
    check_refused(
        &["--recompute=512"],
        expect!["1 error: 4 sinks and a window of 508 tokens don't fit a model trained for 512 tokens"],
    );
    check_refused(
        &["--conversations=1", "--prompt-tokens=3"],
        expect!["1 error: a prompt without a word has 38 tokens already, more than 3"],
    );
}
