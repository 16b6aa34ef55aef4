//! Files that were cut off, changed, or belong to another model: the conversation continues from an older checkpoint,
//! or from none.

use std::fs::{self, File};
use std::path::Path;

use engine::{Engine, EngineError, TurnTag};

use super::super::{Answer, ask, assistant, fails, fixture, request, user};
use super::{files, folder, only_file, settings_in, start_in, turn};
use crate::{BurnEngine, Precision, Quantise};

const TURNS: u64 = 3;

const NEXT: &str = "and now?";

/// Some turns of one conversation, and the file that they left.
struct Written {
    answers: Vec<Answer>,
    bytes: Vec<u8>,
    /// Where each frame ends: the header, then one checkpoint a turn.
    ends: Vec<usize>,
    /// The answer of the next turn from an undamaged file.
    next: Vec<u32>,
}

impl Written {
    fn new() -> Self {
        let (steady_folder, folder) = (folder(), folder());
        let (steady, engine) = (start_in(steady_folder.path()), start_in(folder.path()));
        let answers = (1..=TURNS).map(|tag| turn(&steady, "c", tag)).collect();
        let next = ask(&steady, request("c", Some(TURNS), vec![user(TURNS + 1, NEXT)]));
        for tag in 1..=TURNS {
            turn(&engine, "c", tag);
        }
        drop(engine);
        let bytes = fs::read(only_file(folder.path())).expect("it can be read");
        let mut ends = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            let words = u32::from_le_bytes(bytes[at..][..4].try_into().expect("four bytes"));
            let body = u64::from_le_bytes(bytes[at + 4..][..8].try_into().expect("eight bytes"));
            at += 16 + words as usize + usize::try_from(body).expect("it fits in memory");
            ends.push(at);
        }
        assert_eq!((ends.len() as u64, at), (1 + TURNS, bytes.len()));
        Self {
            answers,
            bytes,
            ends,
            next: next.ids().to_vec(),
        }
    }

    /// Starts an engine on a file of these bytes. Checks that it has the conversation's first `expected` turns, and
    /// continues.
    #[track_caller]
    fn check(&self, bytes: &[u8], expected: u64) {
        let folder = self.folder_with(bytes);
        let engine = start_in(folder.path());
        let through = (expected > 0).then_some(TurnTag(expected));
        assert_eq!(engine.cached_through("c"), through, "of {} bytes", bytes.len());
        self.check_next(&engine, expected);
        drop(engine);
        // The checkpoint that was appended in place of a torn end is whole.
        assert_eq!(start_in(folder.path()).cached_through("c"), Some(TurnTag(TURNS + 1)));
    }

    fn folder_with(&self, bytes: &[u8]) -> tempfile::TempDir {
        let folder = folder();
        let engine = start_in(folder.path());
        turn(&engine, "c", 1);
        drop(engine);
        fs::write(only_file(folder.path()), bytes).expect("it can be written");
        folder
    }

    /// Runs the turn after the last one, with all messages that aren't cached.
    #[track_caller]
    fn check_next(&self, engine: &BurnEngine, cached: u64) {
        let mut messages = Vec::new();
        for (tag, answer) in (1..).zip(&self.answers).filter(|(tag, _)| *tag > cached) {
            messages.push(user(tag, &format!("c says word {tag} and more")));
            messages.push(assistant(tag, answer.ids()));
        }
        messages.push(user(TURNS + 1, NEXT));
        let answer = ask(engine, request("c", (cached > 0).then_some(cached), messages));
        assert_eq!(answer.started.cached_tokens > 0, cached > 0);
        if cached > 0 {
            assert_eq!((answer.started.epoch, answer.ids()), (TurnTag(1), &self.next[..]));
        }
    }
}

#[test]
fn a_file_that_was_cut_off_anywhere_continues_from_its_last_whole_checkpoint() {
    let written = Written::new();
    for (frames, &end) in written.ends.iter().enumerate() {
        let whole = (frames as u64).min(TURNS);
        for behind in [0, 1, 11, 16, 40, 900] {
            if let Some(bytes) = written.bytes.get(..end + behind) {
                written.check(bytes, whole);
            }
        }
        for before in [1, 4, 500] {
            written.check(&written.bytes[..end.saturating_sub(before)], whole.saturating_sub(1));
        }
        // Other bytes are behind it.
        let torn = [&written.bytes[..end], &[0; 64]].concat();
        written.check(&torn, whole);
    }
    written.check(&[], 0);
}

#[test]
fn a_conversation_continues_from_the_checkpoint_before_one_with_a_changed_body() {
    let written = Written::new();
    let mut bytes = written.bytes.clone();
    bytes[written.ends[3] - 1_000] ^= 4;
    let folder = written.folder_with(&bytes);
    let engine = start_in(folder.path());
    assert_eq!(
        engine.cached_through("c"),
        Some(TurnTag(3)),
        "bodies are not read at the start"
    );
    let refused = fails(&engine, request("c", Some(3), vec![user(4, NEXT)]));
    assert_eq!(refused, EngineError::NotCached { tag: TurnTag(3) });
    assert_eq!(engine.cached_through("c"), Some(TurnTag(2)));
    written.check_next(&engine, 2);

    bytes[written.ends[1] - 1_000] ^= 4;
    let folder = written.folder_with(&bytes);
    let engine = start_in(folder.path());
    let refused = fails(&engine, request("c", Some(3), vec![user(4, NEXT)]));
    assert_eq!(refused, EngineError::NotCached { tag: TurnTag(3) });
    assert_eq!(engine.cached_through("c"), None);
    assert!(files(folder.path()).is_empty());
    written.check_next(&engine, 0);
}

#[test]
fn changed_metadata_is_rejected() {
    let written = Written::new();
    for at in [0, 5, 13, 20, 60] {
        let mut bytes = written.bytes.clone();
        bytes[at] ^= 2;
        written.check(&bytes, 0);
        let mut bytes = written.bytes.clone();
        bytes[written.ends[1] + at] ^= 2;
        written.check(&bytes, 1);
    }
}

#[test]
fn another_models_files_and_leftovers_are_removed_at_the_first_write() {
    let folder = folder();
    let other = |folder: &Path| {
        let mut settings = settings_in(folder, super::ROOMY);
        settings.model = fixture("fixtures/models/toy-llama.gguf");
        BurnEngine::start(settings).expect("the toy model is there")
    };
    ask(&other(folder.path()), request("other", None, vec![user(1, "one")]));
    let others = only_file(folder.path());
    fs::write(folder.path().join("0123.new"), "half of a file").expect("it can be written");
    fs::write(folder.path().join("0123.kv"), "no cache").expect("it can be written");
    fs::write(folder.path().join("notes.txt"), "not a cache").expect("it can be written");
    fs::copy(&others, folder.path().join("copy.kv")).expect("it can be copied");
    let engine = start_in(folder.path());
    assert_eq!(engine.cached_through("other"), None);
    assert_eq!(files(folder.path()).len(), 5, "nothing is changed by a start");
    turn(&engine, "c", 1);
    drop(engine);
    let names: Vec<_> = files(folder.path());
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(!names.contains(&others) && names.iter().any(|name| name.ends_with("notes.txt")));
    assert_eq!(other(folder.path()).cached_through("other"), None);
}

#[test]
fn caches_of_weights_that_were_quantised_otherwise_are_not_used() {
    let folder = folder();
    let start = |model: &str, quantise| {
        let mut settings = settings_in(folder.path(), super::ROOMY);
        settings.model = fixture(model);
        settings.quantise = quantise;
        BurnEngine::start(settings).expect("the toy model is there")
    };
    let (f16, blocks) = ("fixtures/models/toy-llama.gguf", "fixtures/models/toy-llama-q4_1.gguf");
    ask(&start(f16, Quantise::Q8_0), request("c", None, vec![user(1, "one")]));
    for (quantise, through) in [
        (Quantise::Auto, Some(TurnTag(1))),
        (Quantise::Q4_0, None),
        (Quantise::Off, None),
    ] {
        assert_eq!(start(f16, quantise).cached_through("c"), through, "{quantise:?}");
    }
    // Weights that are used as they are stored are the same with any setting.
    ask(&start(blocks, Quantise::Off), request("d", None, vec![user(1, "one")]));
    assert_eq!(start(blocks, Quantise::Q4_0).cached_through("d"), Some(TurnTag(1)));
}

#[test]
fn without_caches_in_f16_no_file_is_read_or_written() {
    let folder = folder();
    turn(&start_in(folder.path()), "c", 1);
    let before = files(folder.path());
    let mut settings = settings_in(folder.path(), super::ROOMY);
    settings.precision = Precision::F32;
    let engine = BurnEngine::start(settings).expect("the toy model is there");
    assert_eq!(engine.cached_through("c"), None);
    ask(&engine, request("d", None, vec![user(1, "one")]));
    drop(engine);
    assert_eq!(files(folder.path()), before);
}

#[test]
fn a_folder_that_cannot_be_written_costs_only_the_caches_after_a_restart() {
    let folder = folder();
    let blocked = folder.path().join("a file");
    File::create(&blocked).expect("it can be made");
    for place in [blocked.clone(), blocked.join("kv")] {
        let engine = start_in(&place);
        for tag in 1..=3 {
            turn(&engine, "c", tag);
        }
        assert_eq!(engine.cached_through("c"), Some(TurnTag(3)));
        drop(engine);
        assert_eq!(start_in(&place).cached_through("c"), None);
    }
}
