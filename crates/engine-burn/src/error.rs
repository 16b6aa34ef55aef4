//! The errors of the local engine.

use std::any::Any;
use std::path::PathBuf;

use engine::EngineError;
use kv_cache::KvCacheError;
use model_files::{ModelFileError, TensorName};
use quant::QuantError;
use thiserror::Error;

use crate::sampler::SampleError;

/// Why a model, a device or a cache can't be used.
#[derive(Debug, Error)]
pub enum BurnEngineError {
    /// The model's files can't be read, or are malformed.
    #[error("can't open the model {}", path.display())]
    OpenModel {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: ModelFileError,
    },
    /// A tensor of the model is missing.
    #[error("can't load the model's {tensor}")]
    MissingTensor {
        /// Which one.
        tensor: TensorName,
        /// What is wrong.
        #[source]
        source: ModelFileError,
    },
    /// A tensor of the model can't be read.
    #[error("can't read the model's {tensor}")]
    ReadTensor {
        /// Which one.
        tensor: TensorName,
        /// What is wrong.
        #[source]
        source: QuantError,
    },
    /// A tensor of the model has another shape than the model's config requires.
    #[error("the model's {tensor} is {rows} × {cols} instead of {expected_rows} × {expected_cols}")]
    TensorShape {
        /// Which one.
        tensor: TensorName,
        /// Its rows.
        rows: usize,
        /// Its columns.
        cols: usize,
        /// The rows that the config requires.
        expected_rows: usize,
        /// The columns that the config requires.
        expected_cols: usize,
    },
    /// A size in the settings that must not be 0.
    #[error("{name} is 0, but must be at least 1")]
    ZeroSize {
        /// The setting.
        name: &'static str,
    },
    /// The cache of the settings doesn't fit into the context that the model was trained for.
    #[error(
        "{start_size} sinks and a window of {recent_size} tokens don't fit a model trained for {context_tokens} tokens"
    )]
    CacheTooLarge {
        /// The sinks of the settings.
        start_size: usize,
        /// The window of the settings.
        recent_size: usize,
        /// The model's trained context.
        context_tokens: usize,
    },
    /// A cache can't be made, or has no room left.
    #[error(transparent)]
    Cache(#[from] KvCacheError),
    /// The settings require a GPU, and none can be used.
    #[error("no GPU can be used: {reason}")]
    NoGpu {
        /// Why not.
        reason: String,
    },
    /// The threads of the CPU path can't be started.
    #[error("can't start {threads} threads: {reason}")]
    Threads {
        /// The number of threads.
        threads: usize,
        /// The system's error.
        reason: String,
    },
    /// The thread of the scheduler or of the cache writer can't be started.
    #[error("can't start a thread")]
    SpawnThread {
        /// The system's error.
        #[source]
        source: std::io::Error,
    },
    /// A token isn't in the model's vocabulary.
    #[error("token {id} is not in the vocabulary of {vocab_size} tokens")]
    UnknownToken {
        /// The token.
        id: u32,
        /// Tokens of the vocabulary.
        vocab_size: usize,
    },
    /// A chunk has no tokens.
    #[error("a chunk has no tokens")]
    EmptyChunk,
    /// A sequence's cache was made for another kind of device, or for a model of another shape.
    #[error("a sequence's cache belongs to another model")]
    ForeignCache,
    /// A result can't be read back from the device.
    #[error("can't read the result from the device: {reason}")]
    ReadBack {
        /// burn's error.
        reason: String,
    },
    /// A text has fewer tokens than are to be predicted.
    #[error("the text has {tokens} tokens, but {needed} are needed")]
    TextTooShort {
        /// Tokens of the text.
        tokens: usize,
        /// Tokens needed.
        needed: usize,
    },
    /// The model returned logits from which no token can be chosen.
    #[error("the model failed: {0}")]
    Sample(#[from] SampleError),
}

/// Returns an error and all its causes on one line.
pub(crate) fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// Converts a panic of a step to the error that its readers get.
pub(crate) fn panicked(panic: &(dyn Any + Send)) -> EngineError {
    let message = panic.downcast_ref::<&str>().map(|message| (*message).to_owned());
    let message = message.or_else(|| panic.downcast_ref::<String>().cloned());
    EngineError::Internal {
        reason: format!("a step panicked: {}", message.as_deref().unwrap_or("no message")),
    }
}
