//! Tests that a cache that was saved in increments and restored is identical to the original.

use proptest::prelude::*;

use super::{BASE, Case, check_bits, heads};
use crate::{
    Attention, AttentionInput, CachePolicy, Chunk, HeadShape, Kernel, KvCacheError, KvStore, Ring, RingSizes,
    RotaryTable, SinkWindow,
};

pub(super) const HEADS: HeadShape = heads(4, 2, 12);

const SIZES: RingSizes = RingSizes {
    max_chunk: 48,
    rewind_tokens: 40,
};

const STREAMING: CachePolicy = CachePolicy::Streaming(SinkWindow::new(5, 90));

/// An operation on a cache.
#[derive(Debug, Clone, Copy)]
enum Operation {
    Insert(usize),
    RewindBy(u64),
    Save,
}

/// A cache of two layers.
#[derive(Debug, Clone)]
pub(super) struct Cache {
    pub(super) ring: Ring,
    pub(super) store: KvStore,
}

impl Cache {
    pub(super) fn new(policy: CachePolicy) -> Self {
        let ring = Ring::new(policy, SIZES).expect("a small ring");
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

    /// Appends rows, `[tokens, row_size]`, and returns the outputs of both layers; empty if the rows don't fit.
    pub(super) fn read(&mut self, rows: &[f32]) -> Vec<f32> {
        let (first, n_tokens) = (self.ring.position(), rows.len() / HEADS.row_size());
        if self.ring.insert(n_tokens as u64).is_err() {
            return Vec::new();
        }
        let table = RotaryTable::new(HEADS.head_dim, BASE);
        let chunk = Chunk::new(&table, self.ring.sink_window(), first..self.ring.position());
        let mut out = vec![f32::NAN; 2 * n_tokens * HEADS.out_size()];
        for (layer_idx, out) in out.chunks_exact_mut(n_tokens * HEADS.out_size()).enumerate() {
            // Layers must differ.
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

/// Generates rows, `[tokens, row_size]`, from a seed.
pub(super) fn numbers(seed: u64, n_tokens: usize) -> Vec<f32> {
    Case::random(HEADS, SinkWindow::new(0, 0), n_tokens, seed).rows
}

/// Runs the operations on one cache while another restores each snapshot; then both continue and rewind in parallel.
#[track_caller]
fn check(policy: CachePolicy, operations: &[Operation]) {
    let (mut original, mut restored) = (Cache::new(policy), Cache::new(policy));
    let mut from = 0;
    for (idx, &operation) in (0..).zip(operations.iter().chain(&[Operation::Save])) {
        match operation {
            Operation::Insert(tokens) => drop(original.read(&numbers(idx, tokens))),
            Operation::RewindBy(tokens) => {
                let to = original.ring.position().saturating_sub(tokens);
                if original.ring.rewind(to).is_ok() {
                    from = from.min(to);
                }
            }
            Operation::Save => {
                let bytes = original.save(from);
                assert_eq!(restored.restore(&bytes), Ok(()));
                assert_eq!(restored.ring, original.ring);
                from = original.ring.position();
            }
        }
    }
    for (idx, tokens) in [1, 7, 48, 48, 48, 30].into_iter().enumerate() {
        let rows = numbers(1_000 + idx as u64, tokens);
        check_bits(&restored.read(&rows), &original.read(&rows), "after the restart");
        let to = original.ring.position().saturating_sub(idx as u64 * 9);
        assert_eq!(restored.ring.rewind(to), original.ring.rewind(to));
        assert_eq!(restored.ring, original.ring);
    }
}

pub(super) fn policies() -> impl Strategy<Value = CachePolicy> {
    let streaming = (0..140_u64, 1..150_u64).prop_map(|(sinks, window)| SinkWindow::new(sinks, window));
    prop_oneof![
        3 => streaming.prop_map(CachePolicy::Streaming),
        1 => (60..400_u64).prop_map(|max_tokens| CachePolicy::Dense { max_tokens }),
    ]
}

fn operations() -> impl Strategy<Value = Vec<Operation>> {
    let operation = prop_oneof![
        4 => (1..=48_usize).prop_map(Operation::Insert),
        1 => (0..60_u64).prop_map(Operation::RewindBy),
        2 => Just(Operation::Save),
    ];
    prop::collection::vec(operation, 0..24)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_restored_cache_equals_the_original(policy in policies(), operations in operations()) {
        check(policy, &operations);
    }

    #[test]
    fn random_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let mut cache = Cache::new(STREAMING);
        prop_assert!(cache.restore(&bytes).is_err());
        prop_assert_eq!(cache.ring, Cache::new(STREAMING).ring);
    }
}

#[test]
fn a_wrapped_ring_is_saved_in_increments() {
    let round = [
        Operation::Insert(48),
        Operation::Insert(48),
        Operation::Insert(11),
        Operation::Save,
    ];
    check(STREAMING, &round.repeat(9));
}

#[test]
fn an_increment_holds_only_pages_written_since() {
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
fn a_changed_or_missing_byte_is_refused() {
    let cache = Cache::filled(CachePolicy::Streaming(SinkWindow::new(1, 30)), 100);
    let bytes = cache.save(0);
    let refused = |bytes: &[u8]| {
        let mut empty = Cache::new(cache.ring.policy());
        assert!(empty.restore(bytes).is_err());
        assert_eq!((empty.ring.position(), empty.store.bytes()), (0, 0));
    };
    // Every byte of the header, and some of the many behind it.
    let changed_bytes = (0..bytes.len()).filter(|at| *at < 130 || at % 97 == 0 || at + 8 > bytes.len());
    for at in changed_bytes {
        let mut changed = bytes.clone();
        changed[at] ^= 1 << (at % 8);
        refused(&changed);
        refused(&bytes[..at]);
    }
    refused(&[&bytes[..], &[0]].concat());
}

#[test]
fn errors_name_the_problem() {
    let cache = Cache::filled(STREAMING, 300);
    let bytes = cache.save(0);
    let error = |policy, bytes: &[u8]| Cache::new(policy).restore(bytes).map_err(|error| error.to_string());
    let error_with = |at: usize, number: u64| {
        let mut changed = bytes.clone();
        changed[at * 8..][..8].copy_from_slice(&number.to_le_bytes());
        error(STREAMING, &changed).expect_err("the bytes were changed")
    };
    assert_eq!(error(STREAMING, &bytes), Ok(()));
    assert_eq!(error_with(0, 1), "these are not the bytes of a cache");
    assert_eq!(
        error_with(1, 7),
        "the cache was written in version 7 of its form, and only 1 can be read"
    );
    assert_eq!(error_with(2, 30), "the saved cache has 30 for layers, and this one 2");
    let impossible = "the saved cache is at position 18446744073709551615 and keeps tokens from 122 on, which can't be";
    assert_eq!(error_with(11, u64::MAX), impossible);
    assert_eq!(error_with(13, 1), "the saved cache is damaged: its checksum is wrong");
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
