//! Why the local engine can't start or go on.

use std::path::PathBuf;

use kv_cache::KvCacheError;
use model_files::{ModelFileError, TensorName};
use quant::QuantError;
use thiserror::Error;

use crate::sampler::SampleError;

/// A model, a device or a cache that can't be used.
#[derive(Debug, Error)]
pub enum BurnEngineError {
    /// The model's files can't be read, or aren't what they say.
    #[error("can't open the model {}", path.display())]
    OpenModel {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: ModelFileError,
    },
    /// A tensor of the model isn't there.
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
    /// A tensor of the model has another shape than its config says.
    #[error("the model's {tensor} is {rows} × {cols} instead of {expected_rows} × {expected_cols}")]
    TensorShape {
        /// Which one.
        tensor: TensorName,
        /// Its rows.
        rows: usize,
        /// Its columns.
        cols: usize,
        /// The rows that the config asks for.
        expected_rows: usize,
        /// The columns that the config asks for.
        expected_cols: usize,
    },
    /// A size in the settings that must not be 0.
    #[error("{name} is 0, but must be at least 1")]
    ZeroSize {
        /// The setting.
        name: &'static str,
    },
    /// The cache asked for doesn't fit into the context that the model was trained for.
    #[error(
        "{start_size} sinks and a window of {recent_size} tokens don't fit a model trained for {context_tokens} tokens"
    )]
    CacheTooLarge {
        /// Sinks asked for.
        start_size: usize,
        /// Window asked for.
        recent_size: usize,
        /// The model's trained context.
        context_tokens: usize,
    },
    /// A cache that can't be made, or has no room left.
    #[error(transparent)]
    Cache(#[from] KvCacheError),
    /// A GPU was asked for, and there is none that can be used.
    #[error("no GPU can be used: {reason}")]
    NoGpu {
        /// What was found out.
        reason: String,
    },
    /// Threads that the system doesn't give.
    #[error("can't start {threads} threads: {reason}")]
    Threads {
        /// How many were asked for.
        threads: usize,
        /// What the system said.
        reason: String,
    },
    /// The system gives no thread for the model.
    #[error("can't start the worker thread")]
    Worker {
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A token that the model doesn't have.
    #[error("token {id} is not in the vocabulary of {vocab_size} tokens")]
    UnknownToken {
        /// The token.
        id: u32,
        /// Tokens of the vocabulary.
        vocab_size: usize,
    },
    /// A chunk without tokens.
    #[error("a chunk has no tokens")]
    EmptyChunk,
    /// A sequence of another model, or of the same one on another kind of device.
    #[error("a sequence's cache belongs to another model")]
    ForeignCache,
    /// A result can't be read back from the device.
    #[error("can't read the result from the device: {reason}")]
    ReadBack {
        /// What burn said.
        reason: String,
    },
    /// A text with fewer tokens than there are to predict.
    #[error("the text has {tokens} tokens, but {needed} are needed")]
    TextTooShort {
        /// Tokens of the text.
        tokens: usize,
        /// Tokens needed.
        needed: usize,
    },
    /// The model gave logits that nothing can be chosen from.
    #[error("the model failed: {0}")]
    Sample(#[from] SampleError),
}

/// An error with everything that caused it, on one line.
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
