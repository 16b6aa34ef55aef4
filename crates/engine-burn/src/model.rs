//! A transformer of the Llama family, with the StreamingLLM cache.
//!
//! Token ids and a [`SequenceCache`] go in, logits come out, and the cache has moved on. [`forward`] is the forward
//! pass, written once over the operations of a [`backend`]; [`cpu`] and [`mod@burn`] implement them, and which of the
//! two a model runs on was decided when its [`ComputeDevice`] was opened. Nothing here samples, tokenises, or knows a
//! conversation.

pub(crate) mod backend;
pub(crate) mod burn;
mod chunk;
pub(crate) mod cpu;
mod forward;
mod loader;
mod logits;
mod stacked;
mod stored;
pub(crate) mod weights;

use std::fmt;
use std::sync::Arc;

use kv_cache::{CachePolicy, HeadShape, Ring, RingSizes};
use model_files::{ModelConfig, ModelFiles};
use quant::BlockType;

use self::burn::{Burn, BurnLoader};
use crate::cache::{KvShape, MAX_CHUNK, REWIND_TOKENS, SequenceCache};
use crate::device::OnBackend;
use crate::{BurnEngineError, ComputeDevice, Quantise};
use cpu::{Cpu, CpuLoader};
use forward::Transformer;

pub use chunk::SequenceChunk;
pub use logits::{Logits, LogitsWanted};
pub use stored::StoredWeights;

/// A loaded model.
pub struct LlamaModel {
    files: Arc<ModelFiles>,
    device: ComputeDevice,
    stored_weights: StoredWeights,
    transformer: OnBackend<Transformer<Cpu>, Transformer<Burn>>,
}

impl fmt::Debug for LlamaModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LlamaModel")
            .field("config", &self.files.config)
            .field("device", &self.device)
            .finish_non_exhaustive()
    }
}

/// Returns the blocks that some matrices of a model become when it is loaded; `None` if all stay as they are stored or
/// become f32.
pub(crate) fn quantised_at_load(files: &ModelFiles, device: &ComputeDevice, quantise: Quantise) -> Option<BlockType> {
    match device.backend() {
        OnBackend::Cpu(_) => cpu::quantised_at_load(files, quantise),
        OnBackend::Burn(_) => None,
    }
}

impl LlamaModel {
    /// Loads the weights onto the device, quantised as they are or as `quantise` says, or in f32
    /// ([`Precision`](crate::Precision)); the embedding stays in the file and is looked up there.
    ///
    /// # Errors
    /// A [`BurnEngineError`] that names the tensor.
    pub fn load(files: Arc<ModelFiles>, device: &ComputeDevice, quantise: Quantise) -> Result<Self, BurnEngineError> {
        let (kv_shape, rope_base) = (kv_shape(&files.config), files.config.rope_base);
        let transformer = match device.backend() {
            OnBackend::Cpu(threads) => {
                let mut loader = CpuLoader::new(&files, Arc::clone(threads), quantise);
                let backend = Cpu::new(Arc::clone(threads), kv_shape, rope_base);
                OnBackend::Cpu(Transformer::load(backend, &mut loader, &files)?)
            }
            OnBackend::Burn(burn) => {
                let backend = Burn::new(burn.clone(), kv_shape, rope_base);
                OnBackend::Burn(Transformer::load(backend, &mut BurnLoader(burn.clone()), &files)?)
            }
        };
        // What is looked at from now on is a row of the embedding now and then.
        files.release_pages();
        let stored_weights = match &transformer {
            OnBackend::Cpu(transformer) => StoredWeights::of(transformer.stored()),
            OnBackend::Burn(transformer) => StoredWeights::of(transformer.stored()),
        };
        tracing::info!(model = %files.name, weights = %stored_weights, device = device.name(), "the model is loaded");
        Ok(Self {
            files,
            device: device.clone(),
            stored_weights,
            transformer,
        })
    }

    /// Returns the block types of the matrices in memory, and their bytes.
    #[must_use]
    pub fn stored_weights(&self) -> StoredWeights {
        self.stored_weights.clone()
    }

    /// Returns the model's hyperparameters.
    #[must_use]
    pub fn config(&self) -> &ModelConfig {
        &self.files.config
    }

    /// Returns the files that the model was loaded from.
    #[must_use]
    pub fn files(&self) -> &Arc<ModelFiles> {
        &self.files
    }

    /// Returns the device on which the model computes.
    #[must_use]
    pub fn device(&self) -> &ComputeDevice {
        &self.device
    }

    /// Makes the empty cache of a new sequence.
    ///
    /// # Errors
    /// [`BurnEngineError::Cache`] when the policy asks for more slots than there can be.
    pub fn new_cache(&self, policy: CachePolicy) -> Result<SequenceCache, BurnEngineError> {
        let sizes = RingSizes {
            max_chunk: MAX_CHUNK as u64,
            rewind_tokens: REWIND_TOKENS as u64,
        };
        self.new_cache_with_sizes(policy, sizes)
    }

    /// Does the same with other spare slots.
    pub(crate) fn new_cache_with_sizes(
        &self,
        policy: CachePolicy,
        sizes: RingSizes,
    ) -> Result<SequenceCache, BurnEngineError> {
        let ring = Ring::new(policy, sizes)?;
        let storage = match &self.transformer {
            OnBackend::Cpu(transformer) => transformer.new_kv(&ring),
            OnBackend::Burn(transformer) => transformer.new_kv(&ring),
        };
        Ok(SequenceCache::new(ring, kv_shape(self.config()), storage))
    }

    /// Reads a chunk of 1 to [`MAX_CHUNK`] tokens.
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

    /// Reads chunks of several sequences at once, of 1 to [`MAX_CHUNK`] tokens together: the weights
    /// are read once for all of them. The rows of logits come in the order of the chunks.
    ///
    /// # Errors
    /// [`BurnEngineError::EmptyChunk`], [`BurnEngineError::UnknownToken`], [`BurnEngineError::ForeignCache`], or
    /// [`BurnEngineError::Cache`] when the chunks are too long or a dense cache is full: then all caches are as before.
    /// [`BurnEngineError::ReadBack`] when the device fails.
    pub fn forward_batch(&self, chunks: &mut [SequenceChunk<'_>]) -> Result<Logits, BurnEngineError> {
        let mut logits = Logits::new();
        self.forward_batch_to(chunks, &mut logits)?;
        Ok(logits)
    }

    /// As [`LlamaModel::forward_batch`], but overwrites `logits` and reuses their memory: for eight rows of the default
    /// model 1.5 MiB, which would be allocated, cleared and copied for each token.
    ///
    /// # Errors
    /// As [`LlamaModel::forward_batch`]; the logits are then without meaning.
    pub fn forward_batch_to(
        &self,
        chunks: &mut [SequenceChunk<'_>],
        logits: &mut Logits,
    ) -> Result<(), BurnEngineError> {
        match &self.transformer {
            OnBackend::Cpu(transformer) => transformer.forward(chunks, logits),
            OnBackend::Burn(transformer) => transformer.forward(chunks, logits),
        }
    }

    /// Reads a chunk and hands the logits of all of its tokens to `each`, at most `block_rows` rows at a time, so that
    /// those of a long chunk are never in memory together.
    ///
    /// # Errors
    /// Those of [`LlamaModel::forward_batch`] and of `each`.
    pub(crate) fn forward_in_blocks(
        &self,
        cache: &mut SequenceCache,
        ids: &[u32],
        block_rows: usize,
        each: &mut (dyn FnMut(&Logits) -> Result<(), BurnEngineError> + Send),
    ) -> Result<(), BurnEngineError> {
        let wanted = LogitsWanted::All;
        let chunk = SequenceChunk { cache, ids, wanted };
        match &self.transformer {
            OnBackend::Cpu(transformer) => transformer.forward_in_blocks(chunk, block_rows, each),
            OnBackend::Burn(transformer) => transformer.forward_in_blocks(chunk, block_rows, each),
        }
    }

    /// What each matrix of a layer is computed with as.
    #[cfg(test)]
    pub(crate) fn matrices(&self, layer_idx: usize) -> String {
        match &self.transformer {
            OnBackend::Cpu(transformer) => transformer.matrices(layer_idx),
            OnBackend::Burn(transformer) => transformer.matrices(layer_idx),
        }
    }
}

/// What a model and its caches have in common.
fn kv_shape(config: &ModelConfig) -> KvShape {
    KvShape {
        heads: HeadShape {
            n_heads: config.n_heads,
            n_kv_heads: config.n_kv_heads,
            head_dim: config.head_dim,
        },
        n_layers: config.n_layers,
    }
}
