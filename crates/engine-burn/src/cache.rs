//! The state of one sequence: its position in the stream, and the keys and values of what is still seen.
//!
//! `kv_cache` decides in which slots a token's keys and values are; the backend that the model was loaded onto holds
//! them, in f16 on the CPU ([`KvStore`]) or in burn's tensors ([`TensorKv`]). Only a forward pass writes them. Nothing
//! here computes.

mod shape;
mod tensors;

use kv_cache::{CachePolicy, KvStore, Ring};

use crate::BurnEngineError;
use crate::device::OnBackend;
use crate::file_generation::FileGeneration;

pub(crate) use shape::KvShape;
pub(crate) use tensors::{LayerKv, TensorKv};

/// The longest chunk that goes through the model at once: long enough for full speed, short enough to cancel soon.
pub const MAX_CHUNK: usize = 512;

/// How far back a sequence can always go, for stopping and regenerating without a new prefill.
pub const REWIND_TOKENS: usize = 1_024;

/// The keys and values of all layers, where the model computes.
pub(crate) type KvStorage = OnBackend<KvStore, TensorKv>;

/// The state of one sequence: what the model has read, so far as it is still seen.
#[derive(Debug)]
pub struct SequenceCache {
    ring: Ring,
    shape: KvShape,
    storage: KvStorage,
    saved: Option<Saved>,
}

/// What a file has of a sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Saved {
    /// Which file.
    pub(crate) generation: FileGeneration,
    /// The first tokens, as many as are still what they were.
    pub(crate) tokens: u64,
}

impl SequenceCache {
    /// Puts an empty ring and its storage together, both of a model of that shape.
    pub(crate) fn new(ring: Ring, shape: KvShape, storage: KvStorage) -> Self {
        Self {
            ring,
            shape,
            storage,
            saved: None,
        }
    }

    /// Returns how many tokens the sequence has; the next one gets this position.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.ring.position()
    }

    /// Returns the policy that the cache follows.
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

    /// Begins an empty sequence with the first `tokens` of another one of the same model. Returns true if the other
    /// still has them, in f16 as this one.
    pub(crate) fn copy_prefix(&mut self, other: &Self, tokens: u64) -> bool {
        match (&mut self.storage, &other.storage) {
            (OnBackend::Cpu(store), OnBackend::Cpu(others)) => {
                store.copy_prefix(&mut self.ring, (&other.ring, others), tokens)
            }
            (OnBackend::Cpu(_) | OnBackend::Burn(_), _) => false,
        }
    }

    /// Returns the bytes of keys and values that are allocated now.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match &self.storage {
            OnBackend::Cpu(store) => store.bytes(),
            OnBackend::Burn(tensors) => tensors.bytes(),
        }
    }

    /// Returns the bytes of keys and values that are allocated when the sequence has `tokens` tokens, or now if it has
    /// more.
    pub(crate) fn bytes_at(&self, tokens: u64) -> usize {
        match &self.storage {
            OnBackend::Cpu(store) => store.bytes_at(tokens),
            OnBackend::Burn(tensors) => tensors.bytes_of(self.ring.slots_at(tokens)),
        }
    }

    pub(crate) fn ring(&self) -> &Ring {
        &self.ring
    }

    /// The shape of the model that the cache was made for.
    pub(crate) fn shape(&self) -> KvShape {
        self.shape
    }

    /// What a file has of it.
    pub(crate) fn saved(&self) -> Option<Saved> {
        self.saved
    }

    /// Notes that a file has all of it.
    pub(crate) fn set_saved(&mut self, generation: FileGeneration) {
        let tokens = self.position();
        self.saved = Some(Saved { generation, tokens });
    }

    /// Keys and values in f16, where they are kept so.
    pub(crate) fn f16(&self) -> Option<&KvStore> {
        match &self.storage {
            OnBackend::Cpu(store) => Some(store),
            OnBackend::Burn(_) => None,
        }
    }

    /// The ring and its keys and values in f16, to be restored.
    pub(crate) fn f16_mut(&mut self) -> Option<(&mut Ring, &mut KvStore)> {
        match &mut self.storage {
            OnBackend::Cpu(store) => Some((&mut self.ring, store)),
            OnBackend::Burn(_) => None,
        }
    }

    /// The ring and what it gives slots of, for a forward pass.
    pub(crate) fn parts_mut(&mut self) -> (&mut Ring, &mut KvStorage) {
        (&mut self.ring, &mut self.storage)
    }

    /// Begins the sequence at `position`, as if that many tokens had been read, with keys and values of some numbers;
    /// for measuring far along a stream.
    pub(crate) fn start_at(&mut self, position: u64, number: &mut dyn FnMut() -> f32) {
        let slots = self.ring.start_at(position);
        match &mut self.storage {
            OnBackend::Cpu(store) => store.fill(position, number),
            OnBackend::Burn(tensors) => tensors.fill(slots, number),
        }
    }
}
