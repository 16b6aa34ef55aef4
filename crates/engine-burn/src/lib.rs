//! The local engine: a transformer of the Llama family with the StreamingLLM cache, on the CPU with kernels of our
//! own; on a GPU, and as the reference in f32, on burn.
//!
//! In goes a model on disk (a GGUF file or a Hugging Face folder) and, one by one, requests; out come streams of text
//! and token ids. [`BurnEngine`] is all of it behind the `engine` crate's trait: prompt, scheduler thread, sampler,
//! stop strings, and a cache for each conversation, so that a next turn goes on where the last one stopped, at a
//! constant cost for each token. [`LlamaModel`] and [`eval`] are the model alone, ids in and numbers out.
//!
//! If a folder is named for it, caches of conversations survive a restart there. Nothing here knows an agent, or waits
//! for a reader.

mod cache;
mod cache_index;
mod cache_store;
mod conversation;
mod detokenizer;
mod device;
mod engine;
mod error;
pub mod eval;
mod file_generation;
mod model;
mod prompt;
mod sampler;
mod scheduler;
mod settings;
mod stop;
#[cfg(test)]
mod tests;
mod threads;

pub use crate::engine::BurnEngine;
pub use cache::{MAX_CHUNK, REWIND_TOKENS, SequenceCache};
pub use device::ComputeDevice;
pub use error::BurnEngineError;
pub use kv_cache::{CachePolicy, SinkWindow};
pub use model::{LlamaModel, Logits, LogitsWanted, SequenceChunk, StoredWeights};
pub use sampler::SampleError;
pub use settings::{BurnEngineSettings, CacheStoreSettings, DeviceChoice, Precision, Quantise};
