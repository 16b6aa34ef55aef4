//! Opens a model on disk as one checked [`ModelFiles`].
//!
//! In goes the path of a GGUF file (v2, v3) or of a Hugging Face folder (`config.json`, safetensors, `tokenizer.json`).
//! Out come the numbers of its architecture, its tensors as views of the mapped file, its tokenizer, and its chat
//! template split into turn segments.
//!
//! Everything in every header is checked before anything is allocated for it, and every problem is a named
//! [`ModelFileError`]. It never computes with a model, uses no tensor library and no device, downloads nothing, and
//! never writes.

mod architecture;
mod chat_format;
mod config;
mod error;
mod files;
#[cfg(feature = "fuzz")]
pub mod fuzz;
mod gguf;
mod hf;
mod limits;
mod mapped;
mod open;
mod tensor;
mod tokenizer;

pub use chat_format::{ChatFormat, Piece};
pub use config::{ModelConfig, RopeLayout};
pub use error::ModelFileError;
pub use files::ModelFiles;
pub use quant::BlockType;
pub use tensor::{LayerTensor, TensorName, TensorView};
pub use tokenizer::Tokenizer;

#[cfg(test)]
mod tests;
