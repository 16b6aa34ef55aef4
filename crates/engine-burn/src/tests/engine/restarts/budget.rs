//! The folder's budget: the least recently used file is removed, and a file that is too large isn't written.

use std::fs;

use engine::{Engine, TurnTag};

use super::{files, folder, settings_in, start_forgetful_in, start_in, start_tuned, turn};
use crate::engine::Tuning;

/// Returns the bytes of a conversation's file after one turn.
fn bytes_of_one() -> u64 {
    let folder = folder();
    turn(&start_in(folder.path()), "a", 1);
    fs::metadata(super::only_file(folder.path()))
        .expect("it is there")
        .len()
}

#[test]
fn the_least_recently_used_file_is_removed_first() {
    let folder = folder();
    let budget = 2 * bytes_of_one() + 100;
    let engine = start_forgetful_in(folder.path(), budget);
    turn(&engine, "a", 1);
    turn(&engine, "b", 1);
    turn(&engine, "c", 1);
    drop(engine);
    assert_eq!(files(folder.path()).len(), 2);
    let engine = start_forgetful_in(folder.path(), budget);
    let through = ["a", "b", "c"].map(|name| engine.cached_through(name));
    assert_eq!(through, [None, Some(TurnTag(1)), Some(TurnTag(1))]);
}

/// The writer may be behind, and remove a file only after a later turn.
#[test]
fn a_removed_conversation_stops_being_cached() {
    let folder = folder();
    let engine = start_forgetful_in(folder.path(), 2 * bytes_of_one() + 100);
    turn(&engine, "a", 1);
    let mut others = 0;
    while engine.cached_through("a").is_some() {
        turn(&engine, &format!("other {others}"), 1);
        others += 1;
    }
    assert!(others >= 2, "two conversations fit");
}

#[test]
fn a_file_beyond_the_budget_is_not_written_at_all() {
    let folder = folder();
    let engine = start_tuned(settings_in(folder.path(), bytes_of_one() / 2), Tuning::default());
    turn(&engine, "a", 1);
    turn(&engine, "a", 2);
    assert_eq!(engine.cached_through("a"), Some(TurnTag(2)), "memory has it");
    drop(engine);
    assert!(files(folder.path()).is_empty());
}
