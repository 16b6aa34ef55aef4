//! Block-quantised tensors: their layouts, and the way back to f32.
//!
//! In go the raw little-endian bytes of a GGUF or safetensors tensor and its [`BlockType`]; out come
//! f32 values in the same order. The layouts are those of ggml: a row is a run of blocks, a block holds
//! [`BlockType::block_len`] values in [`BlockType::block_bytes`] bytes, with its own scale.
//!
//! This crate knows no file format, no tensor shape and no tensor library, and it never allocates.

mod block;
mod dequantize;
mod error;

pub use block::BlockType;
pub use dequantize::dequantize;
pub use error::QuantError;

#[cfg(test)]
mod tests;
