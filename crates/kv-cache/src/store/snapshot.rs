//! A cache as bytes: what a stream has written since some position, and where its ring is.
//!
//! A sequence of snapshots, each from where the last one ended, brings a cache back to the bit. The form is little endian: a head
//! of [`HEAD`] numbers of eight bytes (a mark, the version, the shapes, the ring's state, the first position), the pages in the
//! order of layers, heads and positions, and a CRC-32 of all that. Whatever is read is checked before anything is allocated or
//! changed. Which model the numbers belong to is for the caller to know.

use crc32fast::hash;

use super::{KvStore, PAGE_TOKENS, Page};
use crate::ring::RingState;
use crate::{KvCacheError, Ring};

/// What the bytes begin with.
const MARK: u64 = u64::from_le_bytes(*b"SLLM-KV\n");

/// Grows whenever the form does, or the meaning of what is in a page.
const VERSION: u64 = 1;

/// Numbers of the head: mark and version, nine of the shapes, three of the ring's state, and the first position.
const HEAD: usize = 15;

const HEAD_BYTES: usize = HEAD * size_of::<u64>();

const CHECKSUM_BYTES: usize = size_of::<u32>();

impl KvStore {
    /// What was written at position `from` and behind it, as far as the ring still holds it, and the ring's state. What is before
    /// `from` must not have changed since it was saved. From 0 on, it is everything.
    #[must_use]
    pub fn save(&self, ring: &Ring, from: u64) -> Vec<u8> {
        let state = ring.state();
        let mut bytes = Vec::with_capacity(self.saved_bytes(ring, from));
        let shape = self.shape(ring).map(|(_, size)| size);
        let state_numbers = [state.position, state.oldest, state.allocated];
        let numbers = [&[MARK, VERSION][..], &shape, &state_numbers, &[from]].concat();
        numbers
            .iter()
            .for_each(|number| bytes.extend_from_slice(&number.to_le_bytes()));
        for pages in self.layers.iter().flat_map(|layer| &layer.heads) {
            for page_idx in self.page_idxs(state, from) {
                pages[self.layout.pages.place(page_idx)].save(&mut bytes);
            }
        }
        let checksum = hash(&bytes);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// How many bytes [`KvStore::save`] gives.
    #[must_use]
    pub fn saved_bytes(&self, ring: &Ring, from: u64) -> usize {
        self.snapshot_bytes(ring.state(), from)
    }

    /// Takes over what [`KvStore::save`] gave, on top of what is here already, and sets the ring to where it was.
    ///
    /// # Errors
    /// A [`KvCacheError`] that names what is wrong with the bytes; then store and ring stay as they were.
    pub fn restore(&mut self, ring: &mut Ring, bytes: &[u8]) -> Result<(), KvCacheError> {
        let (state, from) = self.check(ring, bytes)?;
        let page_bytes = self.layout.page.bytes();
        let mut saved = bytes[HEAD_BYTES..].chunks_exact(page_bytes);
        let page_idxs: Vec<u64> = self.page_idxs(state, from).collect();
        let (shape, places) = (self.layout.page, self.layout.pages);
        for pages in self.layers.iter_mut().flat_map(|layer| &mut layer.heads) {
            let reached = places.reached(state.position).max(pages.len());
            pages.resize_with(reached, || Page::new(shape));
            for (&page_idx, saved) in page_idxs.iter().zip(&mut saved) {
                pages[places.place(page_idx)].restore(saved);
            }
        }
        ring.go_on_from(state);
        Ok(())
    }

    /// The state and the first position of a snapshot that can be taken over.
    fn check(&self, ring: &Ring, bytes: &[u8]) -> Result<(RingState, u64), KvCacheError> {
        let wrong_length = |expected| KvCacheError::SnapshotLength {
            bytes: bytes.len(),
            expected,
        };
        let head = bytes.get(..HEAD_BYTES);
        let head = head.ok_or_else(|| wrong_length(HEAD_BYTES + CHECKSUM_BYTES))?;
        let mut numbers = head.chunks_exact(size_of::<u64>()).map(|number| {
            let number = number.try_into().expect("a chunk has eight bytes");
            u64::from_le_bytes(number)
        });
        let mut next = || numbers.next().expect("the head has that many numbers");
        if next() != MARK {
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
        if !ring.can_be_at(state) || from > state.position {
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

    /// What two caches must have in common, named.
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
        self.layout.pages.pages(from..position, oldest).into_iter().flatten()
    }

    /// A state that the ring can be in has no more pages than the store has places, so that nothing here overflows.
    fn snapshot_bytes(&self, state: RingState, from: u64) -> usize {
        let pages = self.page_idxs(state, from).count();
        let n_heads = self.layers.len() * self.layout.heads.n_kv_heads;
        HEAD_BYTES + pages * n_heads * self.layout.page.bytes() + CHECKSUM_BYTES
    }
}
