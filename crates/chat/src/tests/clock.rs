//! A wall clock that jumps, also back: times are told as they are, and nothing else goes by them.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use conversation_store::{PathLimit, PathStart};
use engine::ScriptedEngine;

use super::bench::{Bench, NOW_MS};
use crate::Models;

/// A day.
const DAY_MS: i64 = 86_400_000;

/// Jumps by some days with every look, forward and back.
fn jumping() -> i64 {
    static LOOKS: AtomicI64 = AtomicI64::new(0);
    let look = LOOKS.fetch_add(1, Ordering::Relaxed);
    NOW_MS + (look * 7 % 11 - 5) * DAY_MS
}

#[tokio::test]
async fn the_order_of_a_log_is_its_numbers_whatever_the_clock_says() {
    let models = Models::from(Arc::new(ScriptedEngine::default()));
    let bench = Bench::with_models(models, |settings| settings.clock = jumping);
    for message in ["one two three", "four five six", "seven eight nine"] {
        bench.ask(message).await;
    }
    let events = bench.store.events("c", 0, 1_000).await.expect("readable");
    let numbers = events.iter().map(|event| event.seq);
    assert!(numbers.eq(1..=events.len() as u64));
    let times: Vec<_> = events.iter().map(|event| event.at_ms).collect();
    assert!(!times.is_sorted(), "the clock went forward only");

    let limit = PathLimit {
        turns: 9,
        bytes: 9_999,
        until: None,
    };
    let path = bench.store.path("c", PathStart::Head, limit).await.expect("readable");
    let said: Vec<_> = path.iter().rev().map(|turn| turn.user_text.as_str()).collect();
    assert_eq!(said, ["one two three", "four five six", "seven eight nine"]);
    let listed = bench.store.list(None, 9).await.expect("readable").conversations;
    assert_eq!(listed[0].last_seq, events.len() as u64);
}
