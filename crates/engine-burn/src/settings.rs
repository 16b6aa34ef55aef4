//! The settings of a [`BurnEngine`](crate::BurnEngine), and the check that the cache they ask for fits the model.

use std::path::PathBuf;

use quant::BlockType;

use crate::BurnEngineError;
use crate::prompt::Defaults;

/// The device on which the model runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum DeviceChoice {
    /// With the feature `gpu`, a hardware GPU if there is one; otherwise the CPU. Never a software GPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// The best GPU that wgpu offers, a software one if there is no other; an error if there is none, or without the
    /// feature `gpu`.
    Gpu,
}

/// How exactly the CPU computes with a model whose weights are quantised in blocks. A GPU always computes in f32.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Precision {
    /// As fast as the processor can: products of 8-bit activations with the weights as they are stored, or as
    /// [`Quantise`] makes them, if there is a kernel for them. The default model's perplexity is within half a percent
    /// of that in f32. A matrix that isn't quantised is still f32, and so are those that share its input: queries, keys
    /// and values, or the two halves of a gated layer.
    #[default]
    Auto,
    /// Weights and all sums in f32, for which the default model takes 2.3 times the memory. Tests compare with it.
    F32,
}

/// The type to which matrices are converted while they are loaded, if they can't be multiplied as they are stored:
/// bf16, f16 and f32, 5-bit blocks, K-quants.
///
/// Applies to the CPU with [`Precision::Auto`], and to rows of whole blocks of 32 values; all other such matrices are
/// f32. Norms are always f32, and embeddings are looked up in the file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Quantise {
    /// A fast type that loses almost nothing: Q8_0.
    #[default]
    Auto,
    /// f32: as exact as they are stored, in four times the memory of Q8_0, and slower by more than that.
    Off,
    /// 8-bit blocks: 1.06 bytes a value.
    Q8_0,
    /// 4-bit blocks, except for the output matrix: 0.56 bytes a value, at a loss of quality that is larger for smaller
    /// models.
    Q4_0,
}

impl Quantise {
    /// Returns the block type; `None` for f32.
    pub(crate) const fn blocks(self) -> Option<BlockType> {
        match self {
            Self::Auto | Self::Q8_0 => Some(BlockType::Q8_0),
            Self::Q4_0 => Some(BlockType::Q4_0),
            Self::Off => None,
        }
    }
}

/// The folder in which caches of conversations are kept on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheStoreSettings {
    /// A folder for the caches alone, used by one engine at a time; made when it is needed.
    pub folder: PathBuf,
    /// Bytes that its files may take together. The least recently used ones are removed first.
    pub budget_bytes: u64,
}

/// The default memory for caches: twelve conversations of the default model with full windows.
const KV_BUDGET_BYTES: usize = 1 << 30;

/// Everything that starts a [`BurnEngine`](crate::BurnEngine).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BurnEngineSettings {
    /// A GGUF file, or a Hugging Face folder.
    pub model: PathBuf,
    /// The name under which users know the model.
    pub name: String,
    /// The device on which it runs.
    pub device: DeviceChoice,
    /// How exactly the CPU computes.
    pub precision: Precision,
    /// The type of weights that can't be multiplied as they are stored.
    pub quantise: Quantise,
    /// Threads of the CPU path, at least 1; `None` for one per core.
    pub threads: Option<usize>,
    /// True for sinks and a rolling window, false for a dense cache that ends at the trained context.
    pub streaming: bool,
    /// The least number of attention sinks, at least 1; the whole system part of a chat is always pinned.
    pub start_size: usize,
    /// Tokens of the rolling window, at least 1.
    pub recent_size: usize,
    /// Bytes that the keys and values of all conversations may take together. A turn begins when there is room for the
    /// most that it may come to take; the least recently used caches are evicted for that. A turn alone always begins.
    pub kv_budget_bytes: usize,
    /// The folder from which conversations continue after a restart, or when memory no longer has their caches; `None`
    /// to keep none. Used on the CPU with [`Precision::Auto`] only.
    pub cache_store: Option<CacheStoreSettings>,
}

impl BurnEngineSettings {
    /// Returns settings for a model file with the paper's defaults: 4 sinks and a window of 2,048 tokens, on the best
    /// device.
    #[must_use]
    pub fn new(model: PathBuf, name: impl Into<String>) -> Self {
        Self {
            model,
            name: name.into(),
            device: DeviceChoice::Auto,
            precision: Precision::Auto,
            quantise: Quantise::Auto,
            threads: None,
            streaming: true,
            start_size: 4,
            recent_size: 2_048,
            kv_budget_bytes: KV_BUDGET_BYTES,
            cache_store: None,
        }
    }

    /// Returns the cache policy of a conversation that asks for nothing else.
    pub(crate) fn defaults(&self, context_tokens: usize) -> Defaults {
        let context_tokens = context_tokens as u64;
        let (sink_tokens, window_tokens) = if self.streaming {
            (self.start_size as u64, self.recent_size as u64)
        } else {
            (0, context_tokens)
        };
        Defaults {
            streaming: self.streaming,
            sink_tokens,
            window_tokens,
            context_tokens,
        }
    }

    /// Checks that there are threads, and that the cache fits a model trained for `context_tokens`.
    pub(crate) fn check(&self, context_tokens: usize) -> Result<(), BurnEngineError> {
        if self.threads == Some(0) {
            return Err(BurnEngineError::ZeroSize { name: "threads" });
        }
        if !self.streaming {
            return Ok(());
        }
        for (name, value) in [("start_size", self.start_size), ("recent_size", self.recent_size)] {
            if value == 0 {
                return Err(BurnEngineError::ZeroSize { name });
            }
        }
        // The token that attends to them needs a position too.
        let needed_tokens = self.start_size.saturating_add(self.recent_size).saturating_add(1);
        if needed_tokens > context_tokens {
            return Err(BurnEngineError::CacheTooLarge {
                start_size: self.start_size,
                recent_size: self.recent_size,
                context_tokens,
            });
        }
        Ok(())
    }
}
