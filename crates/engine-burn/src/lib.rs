//! The local transformer on burn, with the StreamingLLM cache.

mod cache;
mod detokenizer;
mod device;
mod engine;
mod error;
pub mod eval;
mod model;
mod prompt;
mod sampler;
mod settings;
mod stop;
#[cfg(test)]
mod tests;
mod worker;

pub use crate::engine::BurnEngine;
pub use cache::{MAX_CHUNK, REWIND_TOKENS, SequenceCache};
pub use device::ComputeDevice;
pub use error::BurnEngineError;
pub use kv_cache::{CachePolicy, SinkWindow};
pub use model::{LlamaModel, Logits, LogitsWanted};
pub use sampler::SampleError;
pub use settings::{BurnEngineSettings, DeviceChoice};
