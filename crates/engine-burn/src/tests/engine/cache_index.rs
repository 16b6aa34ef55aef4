//! The registry of cached conversations on its own.

use engine::TurnTag;

use crate::cache_index::{CacheIndex, FileContents, Forgotten};

fn contents(through: u64, bytes: u64) -> FileContents {
    FileContents {
        through: TurnTag(through),
        bytes,
    }
}

/// Runs a turn of a conversation to its end.
fn turn(index: &CacheIndex, name: &str, tag: u64) {
    index.begin(name);
    assert!(index.end(name, TurnTag(tag)));
}

#[test]
fn a_conversation_is_cached_between_its_turns() {
    let index = CacheIndex::default();
    assert_eq!(index.cached_through("c"), None);
    index.begin("c");
    assert_eq!(index.cached_through("c"), None);
    index.end("c", TurnTag(1));
    assert_eq!(index.cached_through("c"), Some(TurnTag(1)));
    index.begin("c");
    assert_eq!(index.cached_through("c"), None);
    index.evict("c");
    assert_eq!(index.cached_through("c"), None);
}

#[test]
fn an_evicted_conversation_is_cached_through_the_end_of_its_file() {
    let index = CacheIndex::default();
    turn(&index, "c", 1);
    let file = index.begin_file("c", contents(1, 10)).expect("it is in memory");
    turn(&index, "c", 2);
    assert_eq!(index.cached_through("c"), Some(TurnTag(2)));
    index.evict("c");
    assert_eq!(index.cached_through("c"), Some(TurnTag(1)));
    assert!(index.set_contents("c", file, contents(2, 20)));
    assert_eq!(index.cached_through("c"), Some(TurnTag(2)));
    index.begin("c");
    assert_eq!(index.cached_through("c"), None, "a turn runs");
    assert!(index.remove_file("c", file));
    index.evict("c");
    assert_eq!(index.cached_through("c"), None);
}

#[test]
fn a_conversation_that_was_forgotten_during_its_turn_does_not_reappear() {
    let index = CacheIndex::default();
    turn(&index, "c", 1);
    let file = index.begin_file("c", contents(1, 10)).expect("it is in memory");
    index.begin("c");
    let (in_memory, on_disk) = (true, true);
    assert_eq!(index.forget("c"), Forgotten { in_memory, on_disk });
    assert!(!index.end("c", TurnTag(2)));
    assert_eq!(index.begin_file("c", contents(2, 10)), None);
    assert!(!index.set_contents("c", file, contents(2, 20)));
    assert!(!index.has_file("c", file) && !index.remove_file("c", file));
    assert_eq!(index.cached_through("c"), None);
    let (in_memory, on_disk) = (false, false);
    assert_eq!(index.forget("c"), Forgotten { in_memory, on_disk });
}

#[test]
fn a_replaced_file_is_no_longer_changed_or_removed() {
    let index = CacheIndex::default();
    turn(&index, "c", 1);
    let first = index.begin_file("c", contents(1, 10)).expect("it is in memory");
    let second = index.begin_file("c", contents(2, 10)).expect("it is in memory");
    assert!(!index.set_contents("c", first, contents(3, 10)) && !index.remove_file("c", first));
    assert!(index.has_file("c", second) && !index.has_file("c", first));
}

#[test]
fn the_least_recently_used_files_are_removed_beyond_the_budget() {
    let index = CacheIndex::default();
    for name in ["a", "b", "c"] {
        index.add_file(name.to_owned(), contents(1, 10));
    }
    index.touch_file("a");
    assert_eq!(index.remove_beyond(30), None);
    assert_eq!(index.remove_beyond(29).as_deref(), Some("b"));
    assert_eq!(index.remove_beyond(29), None);
    assert_eq!(index.remove_beyond(9).as_deref(), Some("c"));
    assert_eq!(index.remove_beyond(9).as_deref(), Some("a"));
    assert_eq!(index.remove_beyond(0), None);
    assert_eq!(index.cached_through("a"), None);
}

#[test]
fn nothing_is_cached_once_the_model_is_gone() {
    let index = CacheIndex::default();
    turn(&index, "memory", 1);
    index.add_file("disk".to_owned(), contents(1, 10));
    index.close();
    assert_eq!(
        (index.cached_through("memory"), index.cached_through("disk")),
        (None, None)
    );
    assert!(index.forget("disk").on_disk, "its file can still be removed");
}
