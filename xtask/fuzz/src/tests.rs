//! Every promise against the inputs in `fixtures/fuzz`, as they are and changed at random from a fixed seed.

use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};

use crate::TARGETS;

/// The inputs of a target.
fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../fixtures/fuzz")
        .join(name);
    let files = fs::read_dir(&folder).expect("every target has a folder");
    let mut paths: Vec<_> = files.map(|file| file.expect("it can be listed").path()).collect();
    paths.sort();
    let read = |path: &PathBuf| fs::read(path).expect("it can be read");
    paths.iter().map(read).collect()
}

/// Some bytes taken out of an input, and others put in their place.
#[derive(Debug, Clone)]
struct Change {
    at: prop::sample::Index,
    removed: usize,
    /// Bytes of another input, from `from` on, or of `bytes`.
    other: Option<(prop::sample::Index, prop::sample::Index)>,
    bytes: Vec<u8>,
}

fn change() -> impl Strategy<Value = Change> {
    let at = any::<prop::sample::Index>();
    let other = prop::option::of((any::<prop::sample::Index>(), any::<prop::sample::Index>()));
    let bytes = prop::collection::vec(any::<u8>(), 0..9);
    (at, 0..24_usize, other, bytes).prop_map(|(at, removed, other, bytes)| Change {
        at,
        removed,
        other,
        bytes,
    })
}

fn changed(corpus: &[Vec<u8>], first: prop::sample::Index, changes: &[Change]) -> Vec<u8> {
    /// Bytes that come from another input at once.
    const PIECE: usize = 64;
    let mut input = first.get(corpus).clone();
    for Change {
        at,
        removed,
        other,
        bytes,
    } in changes
    {
        let start = at.index(input.len() + 1);
        let end = (start + removed).min(input.len());
        let piece = other.as_ref().map(|(other, from)| {
            let other = other.get(corpus);
            let from = from.index(other.len() + 1);
            other[from..(from + PIECE).min(other.len())].to_vec()
        });
        input.splice(start..end, piece.unwrap_or_else(|| bytes.clone()));
    }
    input
}

/// Checks one target with its corpus, and with so many changes of it.
#[track_caller]
fn check(name: &str, cases: u32) {
    let target = TARGETS.into_iter().find(|target| target.name == name);
    let target = target.expect("there is a target of that name");
    let corpus = corpus(name);
    assert!(corpus.len() > 1, "{name} has inputs to begin with");
    for input in &corpus {
        (target.check)(input);
    }
    let config = Config {
        cases,
        rng_seed: RngSeed::Fixed(7),
        failure_persistence: None,
        ..Config::default()
    };
    let strategy = (any::<prop::sample::Index>(), prop::collection::vec(change(), 1..5));
    let outcome = TestRunner::new(config).run(&strategy, |(first, changes)| {
        (target.check)(&changed(&corpus, first, &changes));
        Ok(())
    });
    assert!(outcome.is_ok(), "{name}: {outcome:?}");
}

#[test]
fn frames_are_checked_alike_however_they_come() {
    check("frames", 4_000);
}

#[test]
fn messages_read_back_as_they_are_written() {
    check("messages", 4_000);
}

#[test]
fn agent_files_keep_what_a_rewrite_does_not_name() {
    check("agent-files", 2_000);
}

#[test]
fn gguf_tensors_lie_within_their_file() {
    check("gguf", 2_000);
}

#[test]
fn safetensors_lie_within_their_file() {
    check("safetensors", 4_000);
}

#[test]
fn ollamas_answers_say_no_more_than_came() {
    check("ollama-lines", 4_000);
}

#[test]
fn openais_answers_say_no_more_than_came() {
    check("openai-events", 4_000);
}

#[test]
fn imports_come_out_as_they_went_in() {
    check("imports", 500);
}

#[test]
fn every_target_is_tested_and_can_be_chosen() {
    // What `cargo xtask fuzz` offers, which depends on no crate of ours.
    let xtask = include_str!("../../src/fuzz.rs");
    for target in TARGETS {
        assert!(
            xtask.contains(&format!("    \"{}\",\n", target.name)),
            "{} can be chosen",
            target.name
        );
        assert!(include_str!("tests.rs").contains(&format!("check(\"{}\", ", target.name)));
    }
}
