//! A cache that was saved piece by piece and brought back is the one that was never put away, to the bit.

use proptest::prelude::*;

use super::{BASE, Case, check_bits, heads};
use crate::{
    Attention, AttentionInput, CachePolicy, Chunk, HeadShape, Kernel, KvCacheError, KvStore, Ring, RingRoom,
    RotaryTable, SinkWindow,
};

pub(super) const HEADS: HeadShape = heads(4, 2, 12);

const ROOM: RingRoom = RingRoom {
    max_chunk: 48,
    rewind_tokens: 40,
};

const STREAMING: CachePolicy = CachePolicy::Streaming(SinkWindow::new(5, 90));

/// A step in the life of a cache.
#[derive(Debug, Clone, Copy)]
enum Step {
    Insert(usize),
    RewindBy(u64),
    Save,
}

/// A cache in two layers.
#[derive(Debug, Clone)]
pub(super) struct Cache {
    pub(super) ring: Ring,
    pub(super) store: KvStore,
}

impl Cache {
    pub(super) fn new(policy: CachePolicy) -> Self {
        let ring = Ring::new(policy, ROOM).expect("a small ring");
        let store = KvStore::new(&ring, HEADS, 2, Kernel::detect());
        Self { ring, store }
    }

    fn filled(policy: CachePolicy, tokens: usize) -> Self {
        let mut cache = Self::new(policy);
        for first in (0..tokens).step_by(40) {
            cache.read(&numbers(first as u64, tokens.min(first + 40) - first));
        }
        cache
    }

    /// Adds rows, `[tokens, row_size]`, and gives what both layers make of them; nothing if they don't fit.
    pub(super) fn read(&mut self, rows: &[f32]) -> Vec<f32> {
        let (first, n_tokens) = (self.ring.position(), rows.len() / HEADS.row_size());
        if self.ring.insert(n_tokens as u64).is_err() {
            return Vec::new();
        }
        let table = RotaryTable::new(HEADS.head_dim, BASE);
        let chunk = Chunk::new(&table, self.ring.sink_window(), first..self.ring.position());
        let mut out = vec![f32::NAN; 2 * n_tokens * HEADS.out_size()];
        for (layer_idx, out) in out.chunks_exact_mut(n_tokens * HEADS.out_size()).enumerate() {
            // Layers differ.
            let rows: Vec<f32> = rows.iter().map(|number| number + layer_idx as f32).collect();
            self.store.layer_mut(layer_idx).write(&chunk, &rows);
            let (layer, rows) = (self.store.layer(layer_idx), &rows[..]);
            Attention::new(vec![AttentionInput {
                chunk: &chunk,
                layer,
                rows,
                out,
            }])
            .run();
        }
        out
    }

    pub(super) fn save(&self, from: u64) -> Vec<u8> {
        let bytes = self.store.save(&self.ring, from);
        assert_eq!(bytes.len(), self.store.saved_bytes(&self.ring, from));
        bytes
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), KvCacheError> {
        self.store.restore(&mut self.ring, bytes)
    }
}

/// Rows, `[tokens, row_size]`, from a seed.
pub(super) fn numbers(seed: u64, n_tokens: usize) -> Vec<f32> {
    Case::random(HEADS, SinkWindow::new(0, 0), n_tokens, seed).rows
}

/// Lives a life, with what is saved laid on top of each other meanwhile; then both go on, and back, side by side.
#[track_caller]
fn check(policy: CachePolicy, steps: &[Step]) {
    let (mut lived, mut saved) = (Cache::new(policy), Cache::new(policy));
    let mut from = 0;
    for (idx, &step) in (0..).zip(steps.iter().chain(&[Step::Save])) {
        match step {
            Step::Insert(tokens) => drop(lived.read(&numbers(idx, tokens))),
            Step::RewindBy(tokens) => {
                let to = lived.ring.position().saturating_sub(tokens);
                if lived.ring.rewind(to).is_ok() {
                    from = from.min(to);
                }
            }
            Step::Save => {
                let bytes = lived.save(from);
                assert_eq!(saved.restore(&bytes), Ok(()));
                assert_eq!(saved.ring, lived.ring);
                from = lived.ring.position();
            }
        }
    }
    for (idx, tokens) in [1, 7, 48, 48, 48, 30].into_iter().enumerate() {
        let rows = numbers(1_000 + idx as u64, tokens);
        check_bits(&saved.read(&rows), &lived.read(&rows), "after the restart");
        let to = lived.ring.position().saturating_sub(idx as u64 * 9);
        assert_eq!(saved.ring.rewind(to), lived.ring.rewind(to));
        assert_eq!(saved.ring, lived.ring);
    }
}

pub(super) fn policies() -> impl Strategy<Value = CachePolicy> {
    let streaming = (0..140_u64, 1..150_u64).prop_map(|(sinks, window)| SinkWindow::new(sinks, window));
    prop_oneof![
        3 => streaming.prop_map(CachePolicy::Streaming),
        1 => (60..400_u64).prop_map(|max_tokens| CachePolicy::Dense { max_tokens }),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (1..=48_usize).prop_map(Step::Insert),
        1 => (0..60_u64).prop_map(Step::RewindBy),
        2 => Just(Step::Save),
    ];
    prop::collection::vec(step, 0..24)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_saved_life_is_the_same_life(policy in policies(), steps in steps()) {
        check(policy, &steps);
    }

    #[test]
    fn bytes_that_were_never_written_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let mut cache = Cache::new(STREAMING);
        prop_assert!(cache.restore(&bytes).is_err());
        prop_assert_eq!(cache.ring, Cache::new(STREAMING).ring);
    }
}

#[test]
fn a_ring_that_has_gone_round_is_saved_in_pieces() {
    let turn = [Step::Insert(48), Step::Insert(48), Step::Insert(11), Step::Save];
    check(STREAMING, &turn.repeat(9));
}

#[test]
fn a_piece_holds_what_was_written_since_and_no_more() {
    let mut cache = Cache::filled(STREAMING, 1_000);
    let page = 2 * 2 * 64 * (12 + 16) * 2;
    let pages = |cache: &Cache, from| (cache.save(from).len() - 124) / page;
    // Sinks, and a ring of 178 slots: positions from 822 on.
    assert_eq!(pages(&cache, 0), 1 + 4);
    assert_eq!(pages(&cache, 999), 1);
    assert_eq!(pages(&cache, 1_000), 1);
    cache.read(&numbers(0, 24));
    assert_eq!((pages(&cache, 1_000), pages(&cache, 1_024)), (1, 0));
}

#[test]
fn no_byte_can_be_changed_or_missing() {
    let cache = Cache::filled(CachePolicy::Streaming(SinkWindow::new(1, 30)), 100);
    let bytes = cache.save(0);
    let refused = |bytes: &[u8]| {
        let mut empty = Cache::new(cache.ring.policy());
        assert!(empty.restore(bytes).is_err());
        assert_eq!((empty.ring.position(), empty.store.bytes()), (0, 0));
    };
    // Every byte of the head, and some of the many behind it.
    let places = (0..bytes.len()).filter(|at| *at < 130 || at % 97 == 0 || at + 8 > bytes.len());
    for at in places {
        let mut changed = bytes.clone();
        changed[at] ^= 1 << (at % 8);
        refused(&changed);
        refused(&bytes[..at]);
    }
    refused(&[&bytes[..], &[0]].concat());
}

#[test]
fn what_is_wrong_is_named() {
    let cache = Cache::filled(STREAMING, 300);
    let bytes = cache.save(0);
    let error = |policy, bytes: &[u8]| Cache::new(policy).restore(bytes).map_err(|error| error.to_string());
    let say = |at: usize, number: u64| {
        let mut changed = bytes.clone();
        changed[at * 8..][..8].copy_from_slice(&number.to_le_bytes());
        error(STREAMING, &changed).expect_err("the bytes were changed")
    };
    assert_eq!(error(STREAMING, &bytes), Ok(()));
    assert_eq!(say(0, 1), "these are not the bytes of a cache");
    assert_eq!(
        say(1, 7),
        "the cache was written in version 7 of its form, and only 1 can be read"
    );
    assert_eq!(say(2, 30), "the saved cache has 30 for layers, and this one 2");
    let impossible = "the saved cache is at position 18446744073709551615 and keeps tokens from 122 on, which can't be";
    assert_eq!(say(11, u64::MAX), impossible);
    assert_eq!(say(13, 1), "the saved cache is damaged: its checksum is wrong");
    assert_eq!(
        error(STREAMING, &bytes[..90]),
        Err("the saved cache has 90 bytes in place of 124".to_owned())
    );
    assert_eq!(
        error(CachePolicy::Dense { max_tokens: 400 }, &bytes),
        Err("the saved cache has 0 for dense, and this one 1".to_owned())
    );
    assert_eq!(
        error(STREAMING, &cache.save(200)),
        Err("the saved cache goes on from position 200, and this one ends at 0".to_owned())
    );
}
