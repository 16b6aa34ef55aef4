//! Twenty conversations of five turns, or eight of them, run alone and in every other mode: the same answers, and the
//! same caches to the bit.
//!
//! A difference in one number of the model shows in sampled answers only sooner or later. So the files at the end are
//! compared as well: all keys and values, as they were after each turn.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use engine::{Engine, Request};

use super::{fixture, read, request, user};
use crate::engine::Tuning;
use crate::{BurnEngine, BurnEngineSettings, CacheStoreSettings, DeviceChoice, MAX_CHUNK};

const CONVERSATIONS: u64 = 20;

/// As many as run at once: enough for the modes whose difference to [`TOGETHER`] isn't who shares a step.
const FEWER: u64 = 8;

const TURNS: u64 = 5;

/// How the same conversations are run.
#[derive(Debug, Clone, Copy)]
struct Mode {
    /// The first so many.
    conversations: u64,
    threads: usize,
    prompt_chunk: usize,
    /// Conversations that run at once.
    at_once: usize,
    /// True to restart the engine after every turn.
    restarts: bool,
}

const ALONE: Mode = Mode {
    conversations: CONVERSATIONS,
    threads: 2,
    prompt_chunk: MAX_CHUNK,
    at_once: 1,
    restarts: false,
};

const TOGETHER: Mode = Mode { at_once: 8, ..ALONE };

/// Every other mode.
const MODES: [Mode; 6] = [
    TOGETHER,
    Mode {
        conversations: FEWER,
        threads: 1,
        ..TOGETHER
    },
    Mode {
        conversations: FEWER,
        prompt_chunk: 1,
        ..TOGETHER
    },
    Mode {
        conversations: FEWER,
        prompt_chunk: 7,
        ..TOGETHER
    },
    Mode {
        conversations: FEWER,
        prompt_chunk: 64,
        ..ALONE
    },
    Mode {
        conversations: FEWER,
        restarts: true,
        ..TOGETHER
    },
];

/// The answers of all turns by conversation and turn, and the files at the end.
struct Outcome {
    answers: BTreeMap<(u64, u64), Vec<u32>>,
    files: BTreeMap<PathBuf, Vec<u8>>,
}

fn talk(model: &Path, mode: Mode) -> Outcome {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let start = || {
        let mut settings = BurnEngineSettings::new(model.to_owned(), "model");
        settings.device = DeviceChoice::Cpu;
        settings.threads = Some(mode.threads);
        // Messages are evicted within a few turns.
        settings.recent_size = 64;
        settings.cache_store = Some(CacheStoreSettings {
            folder: folder.path().to_owned(),
            budget_bytes: 8 << 30,
        });
        let tuning = Tuning {
            prompt_chunk: mode.prompt_chunk,
            ..Tuning::default()
        };
        BurnEngine::start_tuned(settings, tuning).expect("the model can be opened")
    };
    let mut engine = start();
    let mut answers = BTreeMap::new();
    for turn in 1..=TURNS {
        for first in (0..mode.conversations).step_by(mode.at_once) {
            let conversations = first..mode.conversations.min(first + mode.at_once as u64);
            let ask = |conversation| engine.generate(question(conversation, turn)).expect("not busy");
            let running: Vec<_> = conversations.clone().map(ask).collect();
            for (conversation, generation) in conversations.zip(running) {
                let answer = read(generation).expect("it ends well");
                answers.insert((conversation, turn), answer.ids().to_vec());
            }
        }
        if mode.restarts {
            drop(engine);
            engine = start();
        }
    }
    drop(engine);
    let files = fs::read_dir(folder.path()).expect("caches were written");
    let files = files.map(|file| {
        let path = file.expect("the folder can be read").path();
        let name = path.file_name().expect("it has a name").into();
        (name, fs::read(path).expect("it can be read"))
    });
    Outcome {
        answers,
        files: files.collect(),
    }
}

/// Makes a question whose length differs by conversation and turn; the longest ones need more than one chunk.
fn question(conversation: u64, turn: u64) -> Request {
    let words = "and what of it ".repeat(1 + ((conversation * 7 + turn * 3) % 11) as usize);
    let text = format!("Say {conversation} {words}in turn {turn}!");
    let mut request = request(
        &format!("conversation {conversation}"),
        (turn > 1).then(|| turn - 1),
        vec![user(turn, &text)],
    );
    request.options.max_new_tokens = 4 + ((conversation + turn) % 9) as u32;
    request.seed = conversation * 100 + turn;
    request
}

#[track_caller]
fn check(model: &Path) {
    assert!(
        model.exists(),
        "{} is missing: cargo xtask model fetches it",
        model.display()
    );
    let expected = talk(model, ALONE);
    assert_eq!(expected.files.len() as u64, CONVERSATIONS);
    for mode in MODES {
        let outcome = talk(model, mode);
        let answers = expected.answers.range(..(mode.conversations, 0));
        assert!(outcome.answers.iter().eq(answers), "answers differ: {mode:?}");
        assert_eq!(outcome.files.len() as u64, mode.conversations);
        for (name, bytes) in &outcome.files {
            assert!(
                expected.files.get(name) == Some(bytes),
                "the cache {name:?} differs: {mode:?}"
            );
        }
    }
}

#[test]
fn the_toy_gives_the_same_bits_in_every_mode() {
    check(&fixture("fixtures/models/toy-llama-q4_1.gguf"));
}

#[test]
fn the_real_model_gives_the_same_bits_in_every_mode() {
    check(&fixture("models/smollm2-135m-instruct.gguf"));
}
