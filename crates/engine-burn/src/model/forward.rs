//! The forward pass of a Llama, from token ids to logits, over the operations of a [`Backend`].
//!
//! Chunks of several sequences go through the layers together, so that the weights are read once for all of them; only
//! attention tells the sequences apart. A cache is left as one token at a time would leave it, however long the chunks
//! are. Nothing here knows a device, samples, or tokenises.

use std::ops::Range;
use std::sync::Arc;

use kv_cache::Ring;
use model_files::{ModelConfig, ModelFiles, TensorName};

use super::backend::{Backend, PlacedChunk};
use super::chunk::{self, SequenceChunk};
use super::loader::{self, WeightLoader};
use super::logits::Logits;
use super::stored::StoredMatrix;
use super::weights::Weights;
use crate::BurnEngineError;
use crate::cache::KvStorage;

/// A model on a backend.
pub(super) struct Transformer<B: Backend> {
    backend: B,
    weights: Weights<B::Norm, B::Linear>,
    /// For the embedding, which is looked up in the file, and for the model's numbers.
    files: Arc<ModelFiles>,
}

impl<B: Backend> Transformer<B> {
    /// Loads the weights from the files.
    ///
    /// # Errors
    /// A [`BurnEngineError`] that names the tensor.
    pub(super) fn load(
        backend: B,
        loader: &mut impl WeightLoader<Norm = B::Norm, Linear = B::Linear>,
        files: &Arc<ModelFiles>,
    ) -> Result<Self, BurnEngineError> {
        Ok(Self {
            backend,
            weights: loader::load(files, loader)?,
            files: Arc::clone(files),
        })
    }

    /// Reads chunks and writes a row of logits for each token that wants one, in the order of the chunks.
    ///
    /// # Errors
    /// As [`LlamaModel::forward_batch`](super::LlamaModel::forward_batch).
    pub(super) fn forward(&self, chunks: &mut [SequenceChunk<'_>], logits: &mut Logits) -> Result<(), BurnEngineError> {
        self.backend.run(|| {
            let x = self.hidden_states(chunks)?;
            let n_tokens: usize = chunks.iter().map(|chunk| chunk.ids.len()).sum();
            let wanted = chunk::wanted_rows(chunks);
            match wanted.iter().map(Range::len).sum() {
                0 => {
                    logits.resize(0, self.config().vocab_size);
                    Ok(())
                }
                n_wanted if n_wanted == n_tokens => self.logits(&x, n_wanted, logits),
                n_wanted => self.logits(&self.backend.select(&x, &wanted), n_wanted, logits),
            }
        })
    }

    /// Reads chunks, up to but without the last norm and the output matrix: `[tokens, hidden_size]`.
    fn hidden_states(&self, chunks: &mut [SequenceChunk<'_>]) -> Result<B::Rows, BurnEngineError> {
        chunk::check(chunks, self.config().vocab_size)?;
        let ops = &self.backend;
        let mut x = self.embed(chunks)?;
        let mut batch = self.begin(chunks)?;
        for (layer_idx, layer) in self.weights.layers.iter().enumerate() {
            // q, k, v = W_qkv norm(x)
            let qkv = ops.norm_linear(&x, &layer.attention_norm, &layer.qkv_proj);
            // softmax(rope(q) rope(k)ᵀ / √head_dim) v, over the sinks and the window
            let attended = ops.attend(&mut batch, layer_idx, qkv);
            // x + W_o attended
            x = ops.add_linear(x, attended, &layer.o_proj);
            // x + W_down (silu(W_gate norm(x)) ⊙ W_up norm(x))
            x = ops.add_feed_forward(x, &layer.feed_forward);
        }
        Ok(x)
    }

    /// Looks the tokens up in the file: `[tokens, hidden_size]`.
    fn embed(&self, chunks: &[SequenceChunk<'_>]) -> Result<B::Rows, BurnEngineError> {
        let hidden_size = self.config().hidden_size;
        let tensor = TensorName::Embedding;
        let table = self
            .files
            .tensor(tensor)
            .map_err(|source| BurnEngineError::MissingTensor { tensor, source })?;
        let ids: Vec<u32> = chunks.iter().flat_map(|chunk| chunk.ids).copied().collect();
        let mut values = vec![0.0; ids.len() * hidden_size];
        for (&id, row) in ids.iter().zip(values.chunks_exact_mut(hidden_size)) {
            table
                .dequantize_row(id as usize, row)
                .map_err(|source| BurnEngineError::ReadTensor { tensor, source })?;
        }
        Ok(self.backend.upload(values, hidden_size))
    }

    /// Makes room in the caches for what the chunks add, and prepares attention for all layers.
    ///
    /// This is the one place that checks that a cache belongs to the model.
    ///
    /// # Errors
    /// [`BurnEngineError::ForeignCache`] or [`BurnEngineError::Cache`]; all caches are as before.
    fn begin<'a>(&'a self, chunks: &'a mut [SequenceChunk<'_>]) -> Result<B::Batch<'a>, BurnEngineError> {
        let sequences = chunks.iter_mut().map(|SequenceChunk { cache, ids, .. }| {
            let is_ours = cache.shape() == self.backend.kv_shape();
            let (ring, storage) = cache.parts_mut();
            let kv = B::kv(storage).filter(|_| is_ours);
            ring.check_room(ids.len() as u64)?;
            Ok((ring, kv.ok_or(BurnEngineError::ForeignCache)?, ids.len()))
        });
        let sequences: Vec<(&mut Ring, &mut B::Kv, usize)> = sequences.collect::<Result<_, BurnEngineError>>()?;
        let placed = sequences.into_iter().map(|(ring, kv, n_tokens)| {
            let insert = ring.insert(n_tokens as u64)?;
            Ok(PlacedChunk {
                ring,
                insert,
                kv,
                n_tokens,
            })
        });
        Ok(self.backend.begin(placed.collect::<Result<_, BurnEngineError>>()?))
    }

    /// `W_lm_head norm(x)`: `[n_rows, hidden_size]` to `[n_rows, vocab_size]`.
    fn logits(&self, x: &B::Rows, n_rows: usize, logits: &mut Logits) -> Result<(), BurnEngineError> {
        let out = logits.resize(n_rows, self.config().vocab_size);
        self.backend.logits(x, &self.weights.norm, &self.weights.lm_head, out)
    }

    /// Reads a chunk and hands out the logits of all of its tokens, at most `block_rows` rows at a time.
    ///
    /// # Errors
    /// Those of [`Transformer::forward`] and of `each`.
    pub(super) fn forward_in_blocks(
        &self,
        chunk: SequenceChunk<'_>,
        block_rows: usize,
        each: &mut (dyn FnMut(&Logits) -> Result<(), BurnEngineError> + Send),
    ) -> Result<(), BurnEngineError> {
        self.backend.run(|| {
            let n_tokens = chunk.ids.len();
            let x = self.hidden_states(&mut [chunk])?;
            let mut logits = Logits::new();
            for first in (0..n_tokens).step_by(block_rows) {
                let block = first..n_tokens.min(first + block_rows);
                let n_rows = block.len();
                self.logits(&self.backend.select(&x, &[block]), n_rows, &mut logits)?;
                each(&logits)?;
            }
            Ok(())
        })
    }

    /// The storage of a new sequence.
    pub(super) fn new_kv(&self, ring: &Ring) -> KvStorage {
        self.backend.new_kv(ring)
    }

    /// What all matrices are in memory.
    pub(super) fn stored(&self) -> impl Iterator<Item = StoredMatrix> {
        self.weights.matrices().flat_map(B::stored)
    }

    /// What each matrix of a layer is in memory.
    #[cfg(test)]
    pub(super) fn matrices(&self, layer_idx: usize) -> String {
        let matrices = self.weights.layers[layer_idx].matrices().map(|matrix| {
            let stored = B::stored(matrix);
            stored.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
        });
        matrices.join("; ")
    }

    fn config(&self) -> &ModelConfig {
        &self.files.config
    }
}
