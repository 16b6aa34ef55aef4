//! Serialises a cache: what a stream has written since some position, and the state of its ring.
//!
//! A sequence of snapshots, each from where the last one ended, restores a cache to the bit. The format is little
//! endian: a header of [`HEADER_NUMBERS`] numbers of eight bytes (magic number, version, shapes, the ring's state,
//! first position), the pages in the order of layers, heads and positions, and a CRC-32 of everything before it. All
//! input is checked before anything is allocated or changed. The caller must know which model the numbers belong to.

use crc32fast::hash;

use super::KvStore;
use super::page::Page;
use crate::layout::PAGE_TOKENS;
use crate::ring::state::RingState;
use crate::{KvCacheError, Ring};

/// The first eight bytes of a snapshot.
const MAGIC: u64 = u64::from_le_bytes(*b"SLLM-KV\n");

/// Must be raised when the format or the meaning of a page's content changes.
const VERSION: u64 = 1;

/// Numbers in the header: magic number and version, nine of the shapes, three of the ring's state, and the first
/// position.
const HEADER_NUMBERS: usize = 15;

const HEADER_BYTES: usize = HEADER_NUMBERS * size_of::<u64>();

const CHECKSUM_BYTES: usize = size_of::<u32>();

impl KvStore {
    /// Returns what was written from position `from` on, as far as the ring still holds it, and the ring's state. What
    /// is before `from` must not have changed since it was saved. `from` 0 saves everything.
    #[must_use]
    pub fn save(&self, ring: &Ring, from: u64) -> Vec<u8> {
        let state = ring.state();
        let mut bytes = Vec::with_capacity(self.saved_bytes(ring, from));
        let shape = self.shape(ring).map(|(_, size)| size);
        let state_numbers = [state.position, state.oldest, state.allocated];
        let numbers = [&[MAGIC, VERSION][..], &shape, &state_numbers, &[from]].concat();
        numbers
            .iter()
            .for_each(|number| bytes.extend_from_slice(&number.to_le_bytes()));
        for pages in self.layers.iter().flat_map(|layer| &layer.heads) {
            for page_idx in self.page_idxs(state, from) {
                pages[self.layout.page_ring.index_of(page_idx)].save(&mut bytes);
            }
        }
        let checksum = hash(&bytes);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// Returns how many bytes [`KvStore::save`] returns.
    #[must_use]
    pub fn saved_bytes(&self, ring: &Ring, from: u64) -> usize {
        self.snapshot_bytes(ring.state(), from)
    }

    /// Applies what [`KvStore::save`] returned on top of the current content, and sets the ring to the saved state.
    ///
    /// # Errors
    /// A [`KvCacheError`] that names what is wrong with the bytes; then store and ring stay as they were.
    pub fn restore(&mut self, ring: &mut Ring, bytes: &[u8]) -> Result<(), KvCacheError> {
        let (state, from) = self.check(ring, bytes)?;
        let page_bytes = self.layout.page_shape.bytes();
        let mut saved = bytes[HEADER_BYTES..].chunks_exact(page_bytes);
        let page_idxs: Vec<u64> = self.page_idxs(state, from).collect();
        let (page_shape, page_ring) = (self.layout.page_shape, self.layout.page_ring);
        for pages in self.layers.iter_mut().flat_map(|layer| &mut layer.heads) {
            let n_pages = page_ring.pages_for(state.position).max(pages.len());
            pages.resize_with(n_pages, || Page::new(page_shape));
            for (&page_idx, saved) in page_idxs.iter().zip(&mut saved) {
                pages[page_ring.index_of(page_idx)].restore(saved);
            }
        }
        ring.resume_from(state);
        Ok(())
    }

    /// Returns the state and the first position of a snapshot that can be applied.
    fn check(&self, ring: &Ring, bytes: &[u8]) -> Result<(RingState, u64), KvCacheError> {
        let wrong_length = |expected| KvCacheError::SnapshotLength {
            bytes: bytes.len(),
            expected,
        };
        let header = bytes.get(..HEADER_BYTES);
        let header = header.ok_or_else(|| wrong_length(HEADER_BYTES + CHECKSUM_BYTES))?;
        let mut numbers = header.chunks_exact(size_of::<u64>()).map(|number| {
            let number = number.try_into().expect("a chunk has eight bytes");
            u64::from_le_bytes(number)
        });
        let mut next = || numbers.next().expect("the header has that many numbers");
        if next() != MAGIC {
            return Err(KvCacheError::NoSnapshot);
        }
        let found = next();
        if found != VERSION {
            let expected = VERSION;
            return Err(KvCacheError::SnapshotVersion { found, expected });
        }
        for (what, expected) in self.shape(ring) {
            let found = next();
            if found != expected {
                return Err(KvCacheError::SnapshotShape { what, found, expected });
            }
        }
        let state = RingState {
            position: next(),
            oldest: next(),
            allocated: next(),
        };
        let from = next();
        if !ring.accepts(state) || from > state.position {
            let RingState { position, oldest, .. } = state;
            return Err(KvCacheError::SnapshotPosition { position, oldest });
        }
        if from > ring.position() {
            let position = ring.position();
            return Err(KvCacheError::SnapshotGap { from, position });
        }
        let expected = self.snapshot_bytes(state, from);
        if bytes.len() != expected {
            return Err(wrong_length(expected));
        }
        let (content, checksum) = bytes.split_at(expected - CHECKSUM_BYTES);
        if hash(content).to_le_bytes() != checksum {
            return Err(KvCacheError::SnapshotChecksum);
        }
        Ok((state, from))
    }

    /// Returns the named sizes that two caches must have in common.
    fn shape(&self, ring: &Ring) -> [(&'static str, u64); 9] {
        let heads = self.layout.heads;
        let [dense, sinks, window, max_chunk, ring_slots] = ring.shape();
        [
            ("layers", self.layers.len() as u64),
            ("key heads", heads.n_kv_heads as u64),
            ("numbers of a head", heads.head_dim as u64),
            ("tokens of a page", PAGE_TOKENS as u64),
            dense,
            sinks,
            window,
            max_chunk,
            ring_slots,
        ]
    }

    fn page_idxs(&self, state: RingState, from: u64) -> impl Iterator<Item = u64> + use<> {
        let RingState { position, oldest, .. } = state;
        self.layout
            .page_ring
            .kept_pages(from..position, oldest)
            .into_iter()
            .flatten()
    }

    /// Returns the length of a snapshot. A state that the ring can be in has no more pages than the store can hold, so
    /// nothing here overflows.
    fn snapshot_bytes(&self, state: RingState, from: u64) -> usize {
        let pages = self.page_idxs(state, from).count();
        let n_heads = self.layers.len() * self.layout.heads.n_kv_heads;
        HEADER_BYTES + pages * n_heads * self.layout.page_shape.bytes() + CHECKSUM_BYTES
    }
}
