//! Tests of the slots of a ring, filled in chunks and rewound, against the naive cache.

use proptest::prelude::*;

use super::naive;
use crate::{CachePolicy, KvCacheError, Ring, RingSizes, SinkWindow, SlotSpan};

/// An operation on a ring.
#[derive(Debug, Clone, Copy)]
enum Operation {
    Insert(u64),
    RewindBy(u64),
}

/// A ring with storage that holds positions instead of keys.
struct StoredPositions {
    ring: Ring,
    slots: Vec<Option<u64>>,
    naive: Vec<naive::Seen>,
}

impl StoredPositions {
    fn new(sinks: u64, window: u64, sizes: RingSizes, len: u64) -> Self {
        let policy = CachePolicy::Streaming(SinkWindow::new(sinks, window));
        let ring = Ring::new(policy, sizes).expect("a small ring");
        Self {
            ring,
            slots: Vec::new(),
            naive: naive::stream(sinks, window, len),
        }
    }

    #[track_caller]
    fn check_insert(&mut self, tokens: u64) {
        let first = self.ring.position();
        let insert = self.ring.insert(tokens).expect("the chunk fits");
        assert!(insert.spans.len() <= 2 && insert.allocated_slots >= self.slots.len());
        assert!(insert.allocated_slots <= self.ring.capacity_slots());
        self.slots.resize(insert.allocated_slots, None);
        let mut token = 0;
        for span in &insert.spans {
            assert_eq!(span.first_token, token, "spans follow each other");
            for slot in span.slots.clone() {
                self.slots[slot] = Some(first + token as u64);
                token += 1;
            }
        }
        assert_eq!(token as u64, tokens);
        self.check_visible(first);
    }

    /// Checks that every run of queries of the newest chunk finds what each of them sees, and that each slot holds the
    /// position it should.
    #[track_caller]
    fn check_visible(&self, chunk_start: u64) {
        let end = self.ring.position();
        for first in chunk_start..end {
            let visible = self.ring.visible(first, end);
            assert!(visible.window.len() <= 2);
            let held: Vec<u64> = visible
                .sinks
                .iter()
                .chain(&visible.window)
                .flat_map(|span| self.held(span))
                .collect();
            assert!(
                held.is_sorted_by(|a, b| a < b),
                "keys come in the order of their positions"
            );
            for query in first..end {
                let policy = self.ring.sink_window();
                let seen: Vec<u64> = held.iter().copied().filter(|&key| policy.sees(query, key)).collect();
                let expected = &self.naive[usize::try_from(query).expect("a short stream")];
                assert_eq!(
                    seen,
                    expected.keys.iter().map(|&(key, _)| key).collect::<Vec<_>>(),
                    "what {query} finds"
                );
                // If the sinks have no span of their own, the query's two positions are equal.
                assert!(visible.sinks.is_some() || policy.sinks() == 0 || expected.cache_position == query);
            }
        }
    }

    fn held(&self, span: &SlotSpan) -> Vec<u64> {
        let positions: Vec<u64> = (span.first_position..).take(span.slots.len()).collect();
        let stored: Vec<Option<u64>> = self.slots[span.slots.clone()].to_vec();
        assert_eq!(
            stored,
            positions.iter().copied().map(Some).collect::<Vec<_>>(),
            "what {span:?} holds"
        );
        positions
    }
}

/// Runs `operations` on a small ring; a stream grows to at most `len` tokens.
#[track_caller]
fn check(sinks: u64, window: u64, sizes: RingSizes, operations: &[Operation]) {
    let len = operations
        .iter()
        .map(|operation| {
            if let Operation::Insert(tokens) = operation {
                *tokens
            } else {
                0
            }
        })
        .sum();
    let mut stored = StoredPositions::new(sinks, window, sizes, len);
    let mut furthest = 0;
    for &operation in operations {
        match operation {
            Operation::Insert(tokens) => {
                stored.check_insert(tokens);
                furthest = stored.ring.position().max(furthest);
            }
            Operation::RewindBy(tokens) => {
                let to = stored.ring.position().saturating_sub(tokens);
                let rewound = stored.ring.rewind(to);
                let is_guaranteed = to + sizes.rewind_tokens >= furthest || to <= sinks;
                assert!(rewound.is_ok() || !is_guaranteed, "{tokens} back to {to}: {rewound:?}");
            }
        }
    }
}

/// Returns all ways to cut `len` tokens into chunks of at most `max`.
fn chunkings(len: u64, max: u64) -> Vec<Vec<Operation>> {
    if len == 0 {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for first in 1..=max.min(len) {
        for mut rest in chunkings(len - first, max) {
            rest.insert(0, Operation::Insert(first));
            all.push(rest);
        }
    }
    all
}

#[test]
fn every_chunking_of_every_small_cache_finds_what_the_papers_cache_holds() {
    for (max_chunk, rewind_tokens) in [(1, 0), (2, 0), (3, 1), (4, 2)] {
        for operations in chunkings(11, max_chunk) {
            for (sinks, window) in [(0, 0), (0, 1), (0, 3), (1, 0), (1, 1), (1, 2), (2, 3), (3, 1), (4, 4)] {
                check(
                    sinks,
                    window,
                    RingSizes {
                        max_chunk,
                        rewind_tokens,
                    },
                    &operations,
                );
            }
        }
    }
}

proptest! {
    #[test]
    fn inserts_and_rewinds_in_any_order_find_what_the_papers_cache_holds(
        sinks in 0_u64..12,
        window in 0_u64..40,
        max_chunk in 1_u64..16,
        rewind_tokens in 0_u64..16,
        operations in prop::collection::vec((any::<bool>(), 0_u64..1_000), 1..60),
    ) {
        let operations: Vec<Operation> = operations.into_iter().map(|(is_insert, n)| {
            if is_insert { Operation::Insert(1 + n % max_chunk) } else { Operation::RewindBy(n % (3 * (rewind_tokens + 1))) }
        }).collect();
        check(sinks, window, RingSizes { max_chunk, rewind_tokens }, &operations);
    }

    #[test]
    fn storage_grows_by_doubling_and_not_beyond_the_ring(sinks in 0_u64..50, window in 0_u64..5_000, tokens in 1_u64..9_000) {
        let sizes = RingSizes { max_chunk: 512, rewind_tokens: 1_024 };
        let mut ring = Ring::new(CachePolicy::Streaming(SinkWindow::new(sinks, window)), sizes).expect("a ring");
        let mut left = tokens;
        while left > 0 {
            let chunk = left.min(512);
            ring.insert(chunk).expect("the chunk fits");
            left -= chunk;
        }
        let full = ring.capacity_slots();
        prop_assert_eq!(full as u64, sinks + window + 512 + 1_024);
        prop_assert!(ring.allocated_slots() >= full.min(usize::try_from(tokens).expect("few")));
        prop_assert!(ring.allocated_slots() <= full.min(256.max(2 * usize::try_from(tokens).expect("few"))));
    }
}

fn small_ring(policy: CachePolicy) -> Ring {
    Ring::new(
        policy,
        RingSizes {
            max_chunk: 4,
            rewind_tokens: 3,
        },
    )
    .expect("a small ring")
}

#[test]
fn rewinding_into_the_sinks_always_works() {
    let mut ring = small_ring(CachePolicy::Streaming(SinkWindow::new(2, 3)));
    for _ in 0..100 {
        ring.insert(4).expect("the chunk fits");
    }
    let lost = KvCacheError::CannotRewind {
        position: 400,
        to: 3,
        needed: 2,
        oldest: 390,
    };
    assert_eq!(ring.rewind(3), Err(lost.clone()));
    assert_eq!(
        lost.to_string(),
        "can't go back from position 400 to 3: it needs position 2, and the oldest one kept is 390"
    );
    ring.rewind(2).expect("the sinks are still there");
    ring.insert(1).expect("the chunk fits");
    ring.rewind(2).expect("it has only just been there");
}

#[test]
fn a_stream_cannot_rewind_forward() {
    let mut ring = small_ring(CachePolicy::Streaming(SinkWindow::new(2, 3)));
    ring.insert(4).expect("the chunk fits");
    assert!(matches!(ring.rewind(5), Err(KvCacheError::CannotRewind { .. })));
    assert_eq!(ring.position(), 4);
}

#[test]
fn a_chunk_that_is_too_long_changes_nothing() {
    let mut ring = small_ring(CachePolicy::Streaming(SinkWindow::new(2, 3)));
    assert_eq!(ring.insert(5), Err(KvCacheError::ChunkTooLong { tokens: 5, limit: 4 }));
    assert_eq!((ring.position(), ring.allocated_slots()), (0, 0));
}

#[test]
fn a_dense_cache_sees_everything_until_full() {
    let mut ring = small_ring(CachePolicy::Dense { max_tokens: 10 });
    for _ in 0..3 {
        ring.insert(3).expect("the chunk fits");
    }
    let visible = ring.visible(8, 9);
    assert_eq!(
        (visible.sinks, visible.window),
        (
            None,
            vec![SlotSpan {
                slots: 0..9,
                first_position: 0
            }]
        )
    );
    assert_eq!(
        ring.insert(2),
        Err(KvCacheError::DenseFull {
            position: 9,
            tokens: 2,
            limit: 10
        })
    );
    ring.insert(1).expect("one more fits");
    ring.rewind(0).expect("a dense cache forgets nothing");
}

#[test]
fn a_cache_that_cannot_be_addressed_is_refused() {
    let policy = CachePolicy::Streaming(SinkWindow::new(4, u64::MAX));
    let refused = Ring::new(
        policy,
        RingSizes {
            max_chunk: 512,
            rewind_tokens: 1_024,
        },
    );
    assert_eq!(
        refused,
        Err(KvCacheError::TooLarge {
            sinks: 4,
            window: u64::MAX,
            limit: 1 << 24
        })
    );
}

#[test]
fn a_stream_started_at_a_position_equals_one_that_reached_it() {
    let policy = CachePolicy::Streaming(SinkWindow::new(2, 3));
    let (mut reached, mut started) = (small_ring(policy), small_ring(policy));
    for _ in 0..25 {
        reached.insert(4).expect("the chunk fits");
    }
    let slots = started.start_at(100);
    assert_eq!(slots, reached.allocated_slots());
    assert_eq!(started.insert(4), reached.insert(4));
    assert_eq!(started.visible(100, 104), reached.visible(100, 104));
}
