//! Twenty conversations of five turns, each once alone and once in every other way: the same answers, and the same caches to the bit.
//!
//! Sampled answers differ when a number of the model does, sooner or later. So that it isn't later, what lies on disk at the end is
//! compared as well: all keys and values, as they were after each turn.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use engine::{Engine, Request};

use super::{fixture, read, request, user};
use crate::engine::Tuning;
use crate::{BurnEngine, BurnEngineSettings, Checkpoints, DeviceChoice, MAX_CHUNK};

const CONVERSATIONS: u64 = 20;

const TURNS: u64 = 5;

/// How the same is asked.
#[derive(Debug, Clone, Copy)]
struct Way {
    threads: usize,
    prompt_chunk: usize,
    /// Conversations that are asked at once.
    at_once: usize,
    /// After every turn the engine is another one.
    restarts: bool,
}

const ALONE: Way = Way {
    threads: 2,
    prompt_chunk: MAX_CHUNK,
    at_once: 1,
    restarts: false,
};

const TOGETHER: Way = Way { at_once: 8, ..ALONE };

/// Every other way.
const WAYS: [Way; 6] = [
    TOGETHER,
    Way { threads: 1, ..TOGETHER },
    Way {
        prompt_chunk: 1,
        ..TOGETHER
    },
    Way {
        prompt_chunk: 7,
        ..TOGETHER
    },
    Way {
        prompt_chunk: 64,
        ..ALONE
    },
    Way {
        restarts: true,
        ..TOGETHER
    },
];

/// What a way has left.
#[derive(PartialEq)]
struct Left {
    answers: BTreeMap<(u64, u64), Vec<u32>>,
    files: BTreeMap<PathBuf, Vec<u8>>,
}

fn talk(model: &Path, way: Way) -> Left {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let start = || {
        let mut settings = BurnEngineSettings::new(model.to_owned(), "model");
        settings.device = DeviceChoice::Cpu;
        settings.threads = Some(way.threads);
        // Messages leave within a few turns.
        settings.recent_size = 64;
        settings.checkpoints = Some(Checkpoints {
            folder: folder.path().to_owned(),
            budget_bytes: 8 << 30,
        });
        let tuning = Tuning {
            prompt_chunk: way.prompt_chunk,
            ..Tuning::default()
        };
        BurnEngine::start_worker(settings, tuning).expect("the model can be opened")
    };
    let mut engine = start();
    let mut answers = BTreeMap::new();
    for turn in 1..=TURNS {
        for first in (0..CONVERSATIONS).step_by(way.at_once) {
            let conversations = first..CONVERSATIONS.min(first + way.at_once as u64);
            let ask = |conversation| engine.generate(question(conversation, turn)).expect("not busy");
            let running: Vec<_> = conversations.clone().map(ask).collect();
            for (conversation, generation) in conversations.zip(running) {
                let answer = read(generation).expect("it ends well");
                answers.insert((conversation, turn), answer.ids().to_vec());
            }
        }
        if way.restarts {
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
    Left {
        answers,
        files: files.collect(),
    }
}

/// Of another length for every conversation and turn, the longest over more than one chunk.
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
    for way in WAYS {
        let left = talk(model, way);
        assert_eq!(left.answers, expected.answers, "{way:?}");
        assert!(left.files == expected.files, "caches differ: {way:?}");
    }
}

#[test]
fn the_toy_gives_the_same_bits_in_every_way() {
    check(&fixture("fixtures/models/toy-llama-q4_1.gguf"));
}

#[test]
fn the_real_model_gives_the_same_bits_in_every_way() {
    check(&fixture("models/smollm2-135m-instruct.gguf"));
}
