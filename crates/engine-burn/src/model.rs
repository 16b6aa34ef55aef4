//! A transformer of the Llama family, with the StreamingLLM cache.
//!
//! Token ids and a [`SequenceCache`] go in, logits come out, and the cache has moved on: by a chunk of any length up to
//! [`MAX_CHUNK`](crate::MAX_CHUNK), and whatever the lengths, it is left as one token at a time would leave it. The same plain
//! burn operations in f32 run on the CPU and on a GPU, but for matrices that are quantised ([`linear`]) and the attention
//! beside them ([`attention`]): then the logits are the same to the last bit whatever the lengths and however many threads.
//! Nothing here samples, tokenises, or knows a conversation.
//!
//! Shapes are written as `[rows, columns]`; `tokens` are those of the chunk.

mod attention;
pub(crate) mod linear;
mod logits;
mod stored;
mod weights;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use burn::tensor::{Tensor, TensorData};
use kv_cache::{CachePolicy, HeadShape, KvCacheError, Ring, RingRoom};
use model_files::{ModelConfig, ModelFiles, TensorName};

use crate::cache::{MAX_CHUNK, REWIND_TOKENS, SequenceCache};
use crate::{BurnEngineError, ComputeDevice, Quantise};
use attention::{Attention, BatchAttention};
use weights::{LayerWeights, ModelWeights};

pub use logits::{Logits, LogitsWanted};
pub use stored::StoredWeights;
pub(crate) use weights::quantised_at_load;

/// A loaded model.
pub struct LlamaModel {
    files: Arc<ModelFiles>,
    device: ComputeDevice,
    attention: Attention,
    weights: ModelWeights,
}

/// What a sequence reads next.
#[derive(Debug)]
pub struct SequenceChunk<'a> {
    /// Its state; moved on when the chunk was read.
    pub cache: &'a mut SequenceCache,
    /// At least one token.
    pub ids: &'a [u32],
    /// Which of them need logits.
    pub wanted: LogitsWanted,
}

impl fmt::Debug for LlamaModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LlamaModel")
            .field("config", &self.files.config)
            .field("device", &self.device)
            .finish_non_exhaustive()
    }
}

impl LlamaModel {
    /// Loads the weights onto the device, quantised as they are or as `quantise` says, or in f32 ([`Precision`](crate::Precision));
    /// the embedding stays in the file and is looked up there.
    ///
    /// # Errors
    /// A [`BurnEngineError`] that names the tensor.
    pub fn load(files: Arc<ModelFiles>, device: &ComputeDevice, quantise: Quantise) -> Result<Self, BurnEngineError> {
        let attention = Attention::new(heads(&files.config), files.config.rope_base, device);
        let weights = device.run(|| ModelWeights::load(&files, device, quantise))?;
        // What is looked at from now on is a row of the embedding now and then.
        files.release_pages();
        let model = Self {
            files,
            device: device.clone(),
            attention,
            weights,
        };
        tracing::info!(model = %model.files.name, weights = %model.stored_weights(), device = device.name(), "the model is loaded");
        Ok(model)
    }

    /// What its matrices are in memory.
    #[must_use]
    pub fn stored_weights(&self) -> StoredWeights {
        StoredWeights::of(&self.weights)
    }

    /// The model's numbers.
    #[must_use]
    pub fn config(&self) -> &ModelConfig {
        &self.files.config
    }

    /// How rows of its layers fall into heads.
    pub(crate) fn heads(&self) -> HeadShape {
        heads(self.config())
    }

    /// The files that the model was loaded from.
    #[must_use]
    pub fn files(&self) -> &Arc<ModelFiles> {
        &self.files
    }

    /// Where the model is.
    #[must_use]
    pub fn device(&self) -> &ComputeDevice {
        &self.device
    }

    /// The state of a new sequence.
    ///
    /// # Errors
    /// [`BurnEngineError::Cache`] when the policy asks for more slots than there can be.
    pub fn new_cache(&self, policy: CachePolicy) -> Result<SequenceCache, BurnEngineError> {
        let room = RingRoom {
            max_chunk: MAX_CHUNK as u64,
            rewind_tokens: REWIND_TOKENS as u64,
        };
        self.new_cache_with_room(policy, room)
    }

    /// As [`LlamaModel::new_cache`], with other spare slots.
    pub(crate) fn new_cache_with_room(
        &self,
        policy: CachePolicy,
        room: RingRoom,
    ) -> Result<SequenceCache, BurnEngineError> {
        let ring = Ring::new(policy, room)?;
        Ok(SequenceCache::new(
            ring,
            self.config().n_layers,
            self.heads(),
            self.attention.storage(),
        ))
    }

    /// Reads a chunk of 1 to [`MAX_CHUNK`](crate::MAX_CHUNK) tokens.
    ///
    /// # Errors
    /// As [`LlamaModel::forward_batch`].
    pub fn forward(
        &self,
        cache: &mut SequenceCache,
        ids: &[u32],
        wanted: LogitsWanted,
    ) -> Result<Logits, BurnEngineError> {
        self.forward_batch(&mut [SequenceChunk { cache, ids, wanted }])
    }

    /// Reads chunks of several sequences at once, of 1 to [`MAX_CHUNK`](crate::MAX_CHUNK) tokens together: the weights are read
    /// once for all of them. The rows of logits come in the order of the chunks.
    ///
    /// # Errors
    /// [`BurnEngineError::EmptyChunk`], [`BurnEngineError::UnknownToken`], or [`BurnEngineError::Cache`] when the chunks are too
    /// long or a dense cache is full: then all caches are as before. [`BurnEngineError::ReadBack`] when the device fails.
    pub fn forward_batch(&self, chunks: &mut [SequenceChunk<'_>]) -> Result<Logits, BurnEngineError> {
        let mut logits = Logits::new();
        self.forward_batch_to(chunks, &mut logits)?;
        Ok(logits)
    }

    /// As [`LlamaModel::forward_batch`], in place of the logits that were there before: their memory is used again, 1.5 MiB
    /// for eight rows of the default model, which would be taken, cleared and copied for each token.
    ///
    /// # Errors
    /// As [`LlamaModel::forward_batch`]; the logits are then without meaning.
    pub fn forward_batch_to(
        &self,
        chunks: &mut [SequenceChunk<'_>],
        logits: &mut Logits,
    ) -> Result<(), BurnEngineError> {
        self.device.run(|| {
            let hidden = self.hidden(chunks)?;
            let [tokens, _] = hidden.dims();
            let rows = wanted_rows(chunks);
            match rows.iter().map(Range::len).sum() {
                0 => {
                    logits.resize(0, self.config().vocab_size);
                    Ok(())
                }
                wanted if wanted == tokens => self.logits(&hidden, logits),
                _ => {
                    let rows = rows.into_iter().map(|rows| hidden.clone().slice_dim(0, rows));
                    self.logits(&Tensor::cat(rows.collect(), 0), logits)
                }
            }
        })
    }

    /// Reads chunks, up to but without the last norm and the output matrix: `[tokens, hidden_size]`.
    pub(crate) fn hidden(&self, chunks: &mut [SequenceChunk<'_>]) -> Result<Tensor<2>, BurnEngineError> {
        self.check(chunks)?;
        let ids: Vec<u32> = chunks.iter().flat_map(|chunk| chunk.ids).copied().collect();
        let mut x = self.embed(&ids)?;
        let mut attention = self.attention.begin(chunks)?;
        for (layer_idx, weights) in self.weights.layers.iter().enumerate() {
            x = Self::layer(x, weights, (layer_idx, &mut attention));
        }
        Ok(x)
    }

    /// The logits of some rows of [`LlamaModel::hidden`].
    pub(crate) fn logits(&self, hidden: &Tensor<2>, logits: &mut Logits) -> Result<(), BurnEngineError> {
        let [n_rows, _] = hidden.dims();
        let out = logits.resize(n_rows, self.config().vocab_size);
        self.weights.output.read_normed(hidden, &self.weights.output_norm, out)
    }

    /// One transformer layer: `[tokens, hidden_size]` to the same.
    fn layer(
        x: Tensor<2>,
        weights: &LayerWeights,
        (layer_idx, attention): (usize, &mut BatchAttention<'_>),
    ) -> Tensor<2> {
        let qkv = weights.query_key_value.forward_normed(&x, &weights.attn_norm);
        let attended = attention.attend(layer_idx, qkv);
        weights.feed_forward.add_to(weights.attn_output.add_to(x, attended))
    }

    /// How each matrix of a layer is computed with.
    #[cfg(test)]
    pub(crate) fn matrices(&self, layer_idx: usize) -> String {
        let layer = &self.weights.layers[layer_idx];
        format!(
            "{:?}; {:?}; {:?}; {:?}",
            layer.query_key_value, layer.attn_output, layer.feed_forward.gate_up, layer.feed_forward.down
        )
    }

    fn check(&self, chunks: &[SequenceChunk<'_>]) -> Result<(), BurnEngineError> {
        let vocab_size = self.config().vocab_size;
        if chunks.is_empty() || chunks.iter().any(|chunk| chunk.ids.is_empty()) {
            return Err(BurnEngineError::EmptyChunk);
        }
        let tokens = chunks.iter().map(|chunk| chunk.ids.len()).sum::<usize>();
        if tokens > MAX_CHUNK {
            return Err(KvCacheError::ChunkTooLong {
                tokens: tokens as u64,
                limit: MAX_CHUNK as u64,
            }
            .into());
        }
        let mut ids = chunks.iter().flat_map(|chunk| chunk.ids);
        match ids.find(|&&id| id as usize >= vocab_size) {
            Some(&id) => Err(BurnEngineError::UnknownToken { id, vocab_size }),
            None => Ok(()),
        }
    }

    /// Looks the tokens up in the file: `[tokens, hidden_size]`.
    fn embed(&self, ids: &[u32]) -> Result<Tensor<2>, BurnEngineError> {
        let hidden_size = self.config().hidden_size;
        let tensor = TensorName::Embedding;
        let table = self
            .files
            .tensor(tensor)
            .map_err(|source| BurnEngineError::MissingTensor { tensor, source })?;
        let mut values = vec![0.0; ids.len() * hidden_size];
        for (&id, row) in ids.iter().zip(values.chunks_exact_mut(hidden_size)) {
            table
                .dequantize_row(id as usize, row)
                .map_err(|source| BurnEngineError::ReadTensor { tensor, source })?;
        }
        Ok(Tensor::from_data(
            TensorData::new(values, [ids.len(), hidden_size]),
            self.device.burn(),
        ))
    }
}

/// The rows of a batch that need logits, of each chunk.
fn wanted_rows(chunks: &[SequenceChunk<'_>]) -> Vec<Range<usize>> {
    let mut end = 0;
    let rows = chunks.iter().map(|chunk| {
        let first = end;
        end += chunk.ids.len();
        match chunk.wanted {
            LogitsWanted::None => end..end,
            LogitsWanted::Last => end - 1..end,
            LogitsWanted::All => first..end,
        }
    });
    rows.filter(|rows| !rows.is_empty()).collect()
}

fn heads(config: &ModelConfig) -> HeadShape {
    HeadShape {
        n_heads: config.n_heads,
        n_kv_heads: config.n_kv_heads,
        head_dim: config.head_dim,
    }
}
