//! A wall clock that jumps, also backwards: events carry its times, and no order depends on them.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use conversation_store::{PathLimit, PathStart};
use engine::ScriptedEngine;

use super::test_chat::{NOW_MS, TestChat};
use crate::Models;

/// Milliseconds of a day.
const DAY_MS: i64 = 86_400_000;

/// A clock that jumps by some days, forwards and back, each time it is read.
fn jumping() -> i64 {
    static READS: AtomicI64 = AtomicI64::new(0);
    let read = READS.fetch_add(1, Ordering::Relaxed);
    NOW_MS + (read * 7 % 11 - 5) * DAY_MS
}

#[tokio::test]
async fn the_order_of_a_log_does_not_depend_on_the_clock() {
    let models = Models::from(Arc::new(ScriptedEngine::default()));
    let test = TestChat::with_models(models, |settings| settings.clock = jumping);
    for message in ["one two three", "four five six", "seven eight nine"] {
        test.ask(message).await;
    }
    let events = test.store.events("c", 0, 1_000).await.expect("readable");
    let numbers = events.iter().map(|event| event.seq);
    assert!(numbers.eq(1..=events.len() as u64));
    let times: Vec<_> = events.iter().map(|event| event.at_ms).collect();
    assert!(!times.is_sorted(), "the clock went forward only");

    let limit = PathLimit {
        turns: 9,
        bytes: 9_999,
        until: None,
    };
    let path = test.store.path("c", PathStart::Head, limit).await.expect("readable");
    let messages: Vec<_> = path.iter().rev().map(|turn| turn.user_text.as_str()).collect();
    assert_eq!(messages, ["one two three", "four five six", "seven eight nine"]);
    let listed = test.store.list(None, 9).await.expect("readable").conversations;
    assert_eq!(listed[0].last_seq, events.len() as u64);
}
