//! Conversations that continue after a restart with the same bits, and damaged files, which cost only time.

mod budget;
mod damage;

use std::fs;
use std::path::{Path, PathBuf};

use engine::{Engine, EngineError, TurnTag};
use tempfile::TempDir;

use super::{Answer, ask, fails, fixture, history, request, settings, user};
use crate::engine::Tuning;
use crate::{BurnEngine, BurnEngineSettings, CacheStoreSettings, Precision};

/// A budget with room for all that a test writes.
const ROOMY: u64 = 1 << 30;

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder can be made")
}

/// Returns settings for the quantised toy with caches in a folder.
fn settings_in(folder: &Path, budget_bytes: u64) -> BurnEngineSettings {
    let mut settings = settings();
    settings.model = fixture("fixtures/models/toy-llama-q4_1.gguf");
    settings.precision = Precision::Auto;
    settings.cache_store = Some(CacheStoreSettings {
        folder: folder.to_owned(),
        budget_bytes,
    });
    settings
}

/// Starts an engine whose answers end by their length alone, so that every turn is long.
fn start_tuned(settings: BurnEngineSettings, tuning: Tuning) -> BurnEngine {
    let never_stops = true;
    let tuning = Tuning { never_stops, ..tuning };
    BurnEngine::start_tuned(settings, tuning).expect("the toy model is there")
}

fn start_in(folder: &Path) -> BurnEngine {
    start_tuned(settings_in(folder, ROOMY), Tuning::default())
}

/// Starts an engine that keeps only the newest conversation in memory.
fn start_forgetful_in(folder: &Path, budget_bytes: u64) -> BurnEngine {
    let mut settings = settings_in(folder, budget_bytes);
    settings.kv_budget_bytes = 1;
    start_tuned(settings, Tuning::default())
}

/// Starts an engine whose turns can't get ahead of their readers.
fn start_waiting_in(folder: &Path) -> BurnEngine {
    let tuning = Tuning {
        channel_events: 1,
        ..Tuning::default()
    };
    start_tuned(settings_in(folder, ROOMY), tuning)
}

/// Runs a turn of more than 40 tokens.
fn turn(engine: &BurnEngine, conversation: &str, tag: u64) -> Answer {
    turn_of(engine, conversation, tag, 40)
}

fn turn_of(engine: &BurnEngine, conversation: &str, tag: u64, tokens: u32) -> Answer {
    let text = format!("{conversation} says word {tag} and more");
    let mut request = request(conversation, (tag > 1).then(|| tag - 1), vec![user(tag, &text)]);
    request.options.max_new_tokens = tokens;
    ask(engine, request)
}

/// Checks that two answers are the same in everything but times.
#[track_caller]
fn check_same(got: &Answer, expected: &Answer) {
    assert_eq!(got.ids(), expected.ids());
    assert_eq!(got.text, expected.text);
    assert_eq!(got.started, expected.started);
    assert_eq!(got.evictions, expected.evictions);
    assert_eq!(got.finished.usage, expected.finished.usage);
}

/// Returns the files in a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(files) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut files: Vec<_> = files.map(|file| file.expect("it can be read").path()).collect();
    files.sort();
    files
}

#[track_caller]
fn only_file(folder: &Path) -> PathBuf {
    let [file] = &files(folder)[..] else {
        panic!("one file, not {:?}", files(folder));
    };
    file.clone()
}

#[test]
fn restarts_between_turns_change_no_bit_while_the_window_is_outgrown() {
    let (steady_folders, folder) = ([folder(), folder(), folder()], folder());
    let names = ["one", "two", "a name / of .. a user \u{1F980}"];
    // One for each: otherwise conversations would copy the system part from each other, and count it as cached.
    let steady = steady_folders.each_ref().map(|folder| start_in(folder.path()));
    for tag in 1..=5 {
        for (name, steady) in names.into_iter().zip(&steady) {
            let engine = start_in(folder.path());
            assert_eq!(engine.cached_through(name), (tag > 1).then(|| TurnTag(tag - 1)));
            let (got, expected) = (turn(&engine, name, tag), turn(steady, name, tag));
            check_same(&got, &expected);
            if tag == 5 {
                assert!(expected.finished.usage.evicted_tokens > 0, "the window is outgrown");
            }
        }
    }
    assert_eq!(files(folder.path()).len(), names.len());
}

#[test]
fn restarts_change_no_bit_while_the_ring_wraps_and_the_file_is_rewritten() {
    let (steady_folder, folder) = (folder(), folder());
    let steady = start_in(steady_folder.path());
    let mut sizes = Vec::new();
    for tag in 1..=32 {
        let engine = start_in(folder.path());
        check_same(&turn_of(&engine, "c", tag, 200), &turn_of(&steady, "c", tag, 200));
        drop(engine);
        let file = only_file(folder.path());
        sizes.push(fs::metadata(file).expect("it is there").len());
    }
    assert!(!sizes.is_sorted(), "the file was rewritten: {sizes:?}");
    let (whole, largest) = (steady.cache_bytes(), sizes.iter().max());
    assert!(
        largest <= Some(&(2 * whole + (1 << 16))),
        "{largest:?} bytes for {whole}"
    );
}

#[test]
fn a_cache_on_disk_is_refused_for_another_system_part_window_or_turn() {
    let folder = folder();
    turn(&start_in(folder.path()), "c", 1);
    let engine = start_in(folder.path());
    let mut changed = request("c", Some(1), vec![user(2, "two")]);
    changed.system = Some("Be another toy.".to_owned());
    assert_eq!(fails(&engine, changed), EngineError::NotCached { tag: TurnTag(1) });
    let mut changed = request("c", Some(1), vec![user(2, "two")]);
    changed.options.window_tokens = Some(99);
    assert_eq!(fails(&engine, changed), EngineError::NotCached { tag: TurnTag(1) });
    assert_eq!(
        fails(&engine, request("c", Some(4), vec![user(5, "five")])),
        EngineError::NotCached { tag: TurnTag(4) }
    );
    turn(&engine, "c", 2);
}

#[test]
fn a_conversation_that_was_evicted_from_memory_is_loaded_from_disk() {
    let (steady_folder, folder) = (folder(), folder());
    let steady = start_in(steady_folder.path());
    let engine = start_forgetful_in(folder.path(), ROOMY);
    for tag in 1..=4 {
        for name in ["a", "b", "c"] {
            check_same(&turn(&engine, name, tag), &turn(&steady, name, tag));
            assert_eq!(engine.cached_through("a"), Some(TurnTag(tag)));
        }
    }
}

#[test]
fn a_dropped_turn_is_not_on_disk() {
    let folder = folder();
    let first = turn(&start_in(folder.path()), "c", 1);
    let before = fs::read(only_file(folder.path())).expect("it can be read");
    let engine = start_waiting_in(folder.path());
    let request = request("c", Some(1), vec![user(2, "two")]);
    let mut second = engine.generate(request).expect("not busy");
    second.blocking_next();
    drop(second);
    drop(engine);
    assert_eq!(fs::read(only_file(folder.path())).expect("it can be read"), before);
    let engine = start_in(folder.path());
    let mut messages = history(&[("c says word 1 and more", &first)]);
    messages.push(user(3, "three"));
    let mut fresh = super::request("fresh", None, messages);
    let mut third = super::request("c", Some(1), vec![user(3, "three")]);
    (fresh.options.max_new_tokens, third.options.max_new_tokens) = (40, 40);
    assert_eq!(ask(&engine, third).ids(), ask(&engine, fresh).ids());
}

#[test]
fn a_forgotten_conversation_is_removed_from_disk_at_once_and_stays_removed() {
    let folder = folder();
    let engine = start_in(folder.path());
    turn(&engine, "c", 1);
    engine.forget("c");
    drop(engine);
    assert_eq!(files(folder.path()), Vec::<PathBuf>::new());

    turn(&start_in(folder.path()), "c", 1);
    let engine = start_in(folder.path());
    engine.forget("another");
    assert_eq!(engine.cached_through("c"), Some(TurnTag(1)));
    engine.forget("c");
    assert_eq!(files(folder.path()), Vec::<PathBuf>::new());
    assert_eq!(engine.cached_through("c"), None);
}

#[test]
fn a_new_epoch_replaces_the_file() {
    let folder = folder();
    for tag in 1..=3 {
        turn(&start_in(folder.path()), "c", tag);
    }
    let engine = start_in(folder.path());
    let mut new = request("c", None, vec![user(9, "something else")]);
    new.options.max_new_tokens = 8;
    ask(&engine, new);
    drop(engine);
    assert_eq!(start_in(folder.path()).cached_through("c"), Some(TurnTag(9)));
    only_file(folder.path());
}

#[test]
fn a_new_epoch_that_is_cut_off_leaves_no_file() {
    let folder = folder();
    turn(&start_in(folder.path()), "c", 1);
    let engine = start_waiting_in(folder.path());
    let mut new = engine
        .generate(request("c", None, vec![user(2, "something else")]))
        .expect("not busy");
    new.blocking_next();
    assert_eq!(files(folder.path()), Vec::<PathBuf>::new());
}
