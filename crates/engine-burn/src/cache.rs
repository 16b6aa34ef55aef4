//! The keys and values of one sequence: as tensors, or in f16 in the store of `kv_cache`.
//!
//! For tensors, `kv_cache` says which slots; this file holds them. Keys are stored rotated by their position in the stream and are never
//! rotated again; nothing moves but when the storage grows, which ends when the ring is whole.

use std::ops::Range;

use burn::tensor::{Device, Tensor, TensorData};
use kv_cache::{CachePolicy, HeadShape, Insert, Kernel, KvStore, Ring};

use crate::BurnEngineError;
use crate::file_generation::FileGeneration;

/// The longest chunk that goes through the model at once: long enough for full speed, short enough to cancel soon.
pub const MAX_CHUNK: usize = 512;

/// How far back a sequence can always go, for stopping and regenerating without a new prefill.
pub const REWIND_TOKENS: usize = 1_024;

/// The state of one sequence: what the model has read, so far as it is still seen.
#[derive(Debug)]
pub struct SequenceCache {
    ring: Ring,
    heads: HeadShape,
    storage: Storage,
    saved: Option<Saved>,
}

/// What a file has of a sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Saved {
    /// Which file.
    pub(crate) life: FileGeneration,
    /// The first tokens, as many as are still what they were.
    pub(crate) tokens: u64,
}

/// What keys and values are kept in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StorageKind {
    /// Tensors in f32, wherever the model is.
    Tensors,
    /// Halves on the CPU.
    F16,
}

/// Keys and values.
#[derive(Debug)]
pub(crate) enum Storage {
    /// One a layer.
    Tensors(Vec<LayerCache>),
    /// All layers.
    F16(KvStore),
}

impl SequenceCache {
    pub(crate) fn new(ring: Ring, n_layers: usize, heads: HeadShape, kind: StorageKind) -> Self {
        let storage = match kind {
            StorageKind::Tensors => Storage::Tensors((0..n_layers).map(|_| LayerCache::default()).collect()),
            StorageKind::F16 => Storage::F16(KvStore::new(&ring, heads, n_layers, Kernel::detect())),
        };
        Self {
            ring,
            heads,
            storage,
            saved: None,
        }
    }

    /// Tokens of the sequence so far; the next one gets this position.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.ring.position()
    }

    /// The policy that the cache follows.
    #[must_use]
    pub fn policy(&self) -> CachePolicy {
        self.ring.policy()
    }

    /// Takes the sequence back to its first `to` tokens: always possible by [`REWIND_TOKENS`], and into the sinks.
    ///
    /// # Errors
    /// [`kv_cache::KvCacheError::CannotRewind`]; the sequence stays as it was.
    pub fn rewind(&mut self, to: u64) -> Result<(), BurnEngineError> {
        self.ring.rewind(to)?;
        if let Some(saved) = &mut self.saved {
            saved.tokens = saved.tokens.min(to);
        }
        Ok(())
    }

    /// Begins an empty sequence with the first `tokens` of another one of the same model; whether the other still has them, in f16 as this
    /// one.
    pub(crate) fn copy_prefix(&mut self, other: &Self, tokens: u64) -> bool {
        match (&mut self.storage, &other.storage) {
            (Storage::F16(store), Storage::F16(others)) => {
                store.begin_with(&mut self.ring, (&other.ring, others), tokens)
            }
            _ => false,
        }
    }

    /// Bytes of keys and values that are allocated now.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match &self.storage {
            Storage::Tensors(layers) => layers.iter().map(LayerCache::bytes).sum(),
            Storage::F16(store) => store.bytes(),
        }
    }

    /// Bytes of keys and values that are allocated when the sequence has `tokens` tokens, or now if it has more.
    pub(crate) fn bytes_at(&self, tokens: u64) -> usize {
        match &self.storage {
            Storage::Tensors(layers) => {
                let values = 2 * self.heads.n_kv_heads * self.heads.head_dim;
                layers.len() * self.ring.slots_at(tokens) * values * size_of::<f32>()
            }
            Storage::F16(store) => store.bytes_at(tokens),
        }
    }

    pub(crate) fn ring(&self) -> &Ring {
        &self.ring
    }

    /// What a file has of it.
    pub(crate) fn saved(&self) -> Option<Saved> {
        self.saved
    }

    /// Says that a file has all of it.
    pub(crate) fn set_saved(&mut self, life: FileGeneration) {
        let tokens = self.position();
        self.saved = Some(Saved { life, tokens });
    }

    /// Keys and values in f16, where they are kept so.
    pub(crate) fn f16(&self) -> Option<&KvStore> {
        match &self.storage {
            Storage::F16(store) => Some(store),
            Storage::Tensors(_) => None,
        }
    }

    /// The same, to be brought back.
    pub(crate) fn f16_mut(&mut self) -> Option<(&mut Ring, &mut KvStore)> {
        match &mut self.storage {
            Storage::F16(store) => Some((&mut self.ring, store)),
            Storage::Tensors(_) => None,
        }
    }

    /// Where everything is, and what holds it.
    pub(crate) fn parts(&mut self) -> (&Ring, &mut Storage) {
        (&self.ring, &mut self.storage)
    }

    /// Makes room for `tokens` more; their keys and values are then written, layer by layer.
    pub(crate) fn insert(&mut self, tokens: usize) -> Result<Insert, BurnEngineError> {
        Ok(self.ring.insert(tokens as u64)?)
    }

    /// Begins the sequence at `position`, as if that many tokens had been read, with keys and values of some numbers; for measuring
    /// far along a stream.
    pub(crate) fn start_at(
        &mut self,
        position: u64,
        heads: HeadShape,
        device: &Device,
        number: &mut dyn FnMut() -> f32,
    ) {
        let slots = self.ring.start_at(position);
        match &mut self.storage {
            Storage::F16(store) => store.fill(position, number),
            Storage::Tensors(layers) => {
                let mut tensor = |dims: [usize; 3]| {
                    let numbers: Vec<f32> = (0..dims.iter().product()).map(|_| number()).collect();
                    Some(Tensor::from_data(TensorData::new(numbers, dims), device))
                };
                for layer in layers {
                    *layer = LayerCache {
                        keys: tensor([heads.n_kv_heads, heads.head_dim, slots]),
                        values: tensor([heads.n_kv_heads, slots, heads.head_dim]),
                    };
                }
            }
        }
    }
}

/// The keys and values of one layer.
///
/// Keys lie with their slots last, values with their heads' values last: so both products of attention read consecutive
/// memory. They are `None` while there are no slots, and within a method: burn writes in place when it owns the tensor alone,
/// and copies all of it otherwise.
#[derive(Debug, Default)]
pub(crate) struct LayerCache {
    keys: Option<Tensor<3>>,
    values: Option<Tensor<3>>,
}

impl LayerCache {
    /// Keys, rotated by their position in the stream: `[n_kv_heads, head_dim, slots]`.
    pub(crate) fn keys(&self, slots: Range<usize>) -> Tensor<3> {
        self.keys
            .clone()
            .expect("a chunk is written before it is read")
            .slice_dim(KEY_SLOTS, slots)
    }

    /// Values: `[n_kv_heads, slots, head_dim]`.
    pub(crate) fn values(&self, slots: Range<usize>) -> Tensor<3> {
        self.values
            .clone()
            .expect("a chunk is written before it is read")
            .slice_dim(VALUE_SLOTS, slots)
    }

    /// Writes a chunk's keys, `[n_kv_heads, head_dim, tokens]`, and values, `[n_kv_heads, tokens, head_dim]`, to their slots.
    pub(crate) fn write(&mut self, insert: &Insert, keys: &Tensor<3>, values: &Tensor<3>) {
        self.keys = Some(written(self.keys.take(), insert, keys, KEY_SLOTS));
        self.values = Some(written(self.values.take(), insert, values, VALUE_SLOTS));
    }

    fn bytes(&self) -> usize {
        let tensors = self.keys.iter().chain(&self.values);
        tensors
            .map(|tensor| tensor.shape().num_elements() * size_of::<f32>())
            .sum()
    }
}

/// The dimension of slots in the storage of keys.
const KEY_SLOTS: usize = 2;

/// The dimension of slots in the storage of values.
const VALUE_SLOTS: usize = 1;

fn written(storage: Option<Tensor<3>>, insert: &Insert, chunk: &Tensor<3>, slot_dim: usize) -> Tensor<3> {
    let mut storage = grown(storage, insert.allocated_slots, chunk, slot_dim);
    for span in &insert.spans {
        let from = span.first_token..span.first_token + span.slots.len();
        let part = if from.len() == chunk.dims()[slot_dim] {
            chunk.clone()
        } else {
            chunk.clone().slice_dim(slot_dim, from)
        };
        storage = assigned(storage, span.slots.clone(), part, slot_dim);
    }
    storage
}

/// Storage of `slots` slots that holds in the first of them what it held before.
fn grown(storage: Option<Tensor<3>>, slots: usize, like: &Tensor<3>, slot_dim: usize) -> Tensor<3> {
    let mut dims = like.dims();
    dims[slot_dim] = slots;
    match storage {
        None => Tensor::zeros(dims, &like.device()),
        Some(storage) if storage.dims()[slot_dim] >= slots => storage,
        Some(storage) => {
            let filled = 0..storage.dims()[slot_dim];
            assigned(Tensor::zeros(dims, &like.device()), filled, storage, slot_dim)
        }
    }
}

fn assigned(storage: Tensor<3>, slots: Range<usize>, part: Tensor<3>, slot_dim: usize) -> Tensor<3> {
    let mut ranges = storage.dims().map(|len| 0..len);
    ranges[slot_dim] = slots;
    storage.slice_assign(ranges, part)
}
