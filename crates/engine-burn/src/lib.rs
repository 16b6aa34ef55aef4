//! The local transformer on burn, with the StreamingLLM cache.

mod cache;
mod device;
mod error;
pub mod eval;
mod model;
mod sampler;
mod settings;
#[cfg(test)]
mod tests;

pub use cache::{MAX_CHUNK, REWIND_TOKENS, SequenceCache};
pub use device::ComputeDevice;
pub use error::BurnEngineError;
pub use kv_cache::{CachePolicy, SinkWindow};
pub use model::{LlamaModel, Logits, LogitsWanted};
pub use sampler::SampleError;
pub use settings::{BurnEngineSettings, DeviceChoice};
