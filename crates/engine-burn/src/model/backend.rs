//! The operations that a transformer is made of, as a trait that each kind of device implements.
//!
//! [`forward`](super::forward) is written over these and knows nothing else of a device. *Rows* are activations in f32,
//! one row a token, those of all chunks of a batch one below the other; shapes are written `[rows, columns]`. An
//! operation is as large as it has to be for a backend that fuses: what can be done while a row is read or stored (a
//! norm, a gate, the residual) is part of the matrix product behind or before it.

use std::ops::Range;

use kv_cache::{Insert, Ring};

use super::stored::StoredMatrix;
use super::weights::FeedForward;
use crate::BurnEngineError;
use crate::cache::{KvShape, KvStorage};

/// A device that knows the shape of one model.
pub(crate) trait Backend: Sync {
    /// Activations, `[tokens, width]`.
    type Rows;
    /// A root-mean-square norm, with a weight for each column.
    type Norm: Sync;
    /// A matrix without bias, `[outputs, inputs]`.
    type Linear: Sync;
    /// The keys and values of one sequence, of all layers.
    type Kv;
    /// The attention of one batch: its sequences' keys and values, and what all layers have in common: positions,
    /// angles, and what each query sees.
    type Batch<'a>
    where
        Self: 'a;

    /// Runs a computation on the threads that the other operations expect; the caller waits.
    fn run<T: Send>(&self, compute: impl FnOnce() -> T + Send) -> T;

    /// Describes a matrix as it is in memory, from top to bottom.
    fn stored(linear: &Self::Linear) -> Vec<StoredMatrix>;

    /// How keys and values of the model are shaped.
    fn kv_shape(&self) -> KvShape;

    /// Makes the empty storage of a new sequence.
    fn new_kv(&self, ring: &Ring) -> KvStorage;

    /// Returns a sequence's keys and values; `None` if they belong to a model on another backend.
    fn kv(storage: &mut KvStorage) -> Option<&mut Self::Kv>;

    /// Prepares attention for chunks that have their slots already.
    fn begin<'a>(&'a self, chunks: Vec<PlacedChunk<'a, Self::Kv>>) -> Self::Batch<'a>;

    /// Takes rows of `width` values over from the CPU's memory.
    fn upload(&self, values: Vec<f32>, width: usize) -> Self::Rows;

    /// Copies some ranges of rows, one behind the other; there is at least one row in them.
    fn select(&self, x: &Self::Rows, ranges: &[Range<usize>]) -> Self::Rows;

    /// `W norm(x)`: `[tokens, inputs]` to `[tokens, outputs]`.
    fn norm_linear(&self, x: &Self::Rows, norm: &Self::Norm, linear: &Self::Linear) -> Self::Rows;

    /// Rotates queries and keys by their positions (RoPE), writes keys and values of the chunks to a layer's cache, and
    /// lets every query attend to the sinks and to its window: `softmax(q kᵀ / √head_dim) v` for each head.
    ///
    /// `qkv` is `[tokens, (n_heads + 2 * n_kv_heads) * head_dim]`, not rotated; what returns is `[tokens, n_heads *
    /// head_dim]`.
    fn attend(&self, batch: &mut Self::Batch<'_>, layer_idx: usize, qkv: Self::Rows) -> Self::Rows;

    /// `residual + W x`: `[tokens, outputs]` and `[tokens, inputs]` to `[tokens, outputs]`.
    fn add_linear(&self, residual: Self::Rows, x: Self::Rows, linear: &Self::Linear) -> Self::Rows;

    /// `x + W_down (silu(W_gate norm(x)) ⊙ W_up norm(x))`, `[tokens, hidden_size]` to the same; `silu(z) = z / (1 +
    /// exp(-z))`.
    fn add_feed_forward(&self, x: Self::Rows, feed_forward: &FeedForward<Self::Norm, Self::Linear>) -> Self::Rows;

    /// As [`Backend::norm_linear`], to the CPU's memory: `out` is `[tokens, outputs]`.
    ///
    /// # Errors
    /// [`BurnEngineError::ReadBack`] when the device fails.
    fn logits(
        &self,
        x: &Self::Rows,
        norm: &Self::Norm,
        lm_head: &Self::Linear,
        out: &mut [f32],
    ) -> Result<(), BurnEngineError>;
}

/// A chunk for which its sequence has made room.
pub(crate) struct PlacedChunk<'a, K> {
    /// The sequence's ring, which counts the chunk's tokens already.
    pub(crate) ring: &'a Ring,
    /// The slots of its tokens.
    pub(crate) insert: Insert,
    /// Where keys and values go.
    pub(crate) kv: &'a mut K,
    /// How many tokens it has.
    pub(crate) n_tokens: usize,
}
