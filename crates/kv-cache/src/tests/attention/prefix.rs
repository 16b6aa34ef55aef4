//! Tests that a stream with a copied prefix is identical to one that computed it, and holds nothing else of the other
//! stream.

use proptest::prelude::*;

use super::snapshot::{Cache, HEADS, numbers, policies};
use super::{check_bits, heads};
use crate::{CachePolicy, Kernel, KvStore, Ring, RingSizes, SinkWindow};

impl Cache {
    /// Creates a cache that has read the first `tokens` of some rows, in chunks.
    fn with_first(policy: CachePolicy, rows: &[f32], tokens: usize) -> Self {
        let mut cache = Self::new(policy);
        for rows in rows[..tokens * HEADS.row_size()].chunks(37 * HEADS.row_size()) {
            cache.read(rows);
        }
        cache
    }

    fn copy_prefix(&mut self, other: &Self, tokens: usize) -> bool {
        let other = (&other.ring, &other.store);
        self.store.copy_prefix(&mut self.ring, other, tokens as u64)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_copied_prefix_equals_a_computed_one(
        policy in policies(),
        other_policy in policies(),
        (tokens, other_tokens) in (0..200_usize, 0..400_usize),
        rewound in 0..60_u64,
    ) {
        let rows = numbers(1, other_tokens.max(tokens));
        let mut other = Cache::with_first(other_policy, &rows, other_tokens);
        let furthest = other.ring.position();
        let _ = other.ring.rewind(furthest.saturating_sub(rewound));

        let mut copied = Cache::new(policy);
        let expected = Cache::with_first(policy, &rows, tokens);
        let has_wrapped = furthest > other.ring.capacity_slots() as u64;
        let is_there = tokens as u64 <= other.ring.position()
            && (tokens as u64 <= other_policy.sink_window().sinks() || !has_wrapped);
        let fits = tokens <= copied.ring.capacity_slots();
        prop_assert_eq!(copied.copy_prefix(&other, tokens), is_there && fits);
        if !(is_there && fits) {
            prop_assert_eq!(copied.ring.position(), 0);
            return Ok(());
        }
        prop_assert_eq!(&copied.ring, &expected.ring);
        prop_assert!(copied.save(0) == expected.save(0), "they differ, or something of the other is left");
        let mut expected = expected;
        for seed in 2..5 {
            let rows = numbers(seed, 48);
            check_bits(&copied.read(&rows), &expected.read(&rows), "after the beginning");
        }
    }
}

#[test]
fn an_empty_prefix_leaves_the_stream_as_it_was() {
    let policy = CachePolicy::Streaming(SinkWindow::new(4, 90));
    let other = Cache::with_first(policy, &numbers(1, 100), 100);
    let mut copied = Cache::new(policy);
    assert!(copied.copy_prefix(&other, 0));
    assert_eq!(copied.ring, Cache::new(policy).ring);
    assert_eq!(copied.store.bytes(), 0);
}

#[test]
fn an_overwritten_prefix_is_not_copied() {
    let policy = CachePolicy::Streaming(SinkWindow::new(70, 90));
    let rows = numbers(1, 1_000);
    let other = Cache::with_first(policy, &rows, 1_000);
    for (tokens, expected) in [(1, true), (64, true), (70, true), (71, false), (1_000, false)] {
        assert_eq!(
            Cache::new(policy).copy_prefix(&other, tokens),
            expected,
            "{tokens} tokens"
        );
    }
}

#[test]
#[should_panic(expected = "streams of one model have the same heads and layers")]
fn a_prefix_of_another_model_panics() {
    let policy = CachePolicy::Streaming(SinkWindow::new(4, 8));
    let sizes = RingSizes {
        max_chunk: 8,
        rewind_tokens: 0,
    };
    let ring = Ring::new(policy, sizes).expect("a small ring");
    let other = KvStore::new(&ring, heads(2, 1, 8), 2, Kernel::detect());
    let mut cache = Cache::new(policy);
    cache.store.copy_prefix(&mut cache.ring, (&ring, &other), 0);
}
