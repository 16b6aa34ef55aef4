//! Block-quantised tensors: their layouts, the way back to f32, and products that never go back.
//!
//! In go the raw little-endian bytes of a GGUF or safetensors tensor and its [`BlockType`]; out come f32 values in the same
//! order ([`dequantize`]; the way there is [`quantize`]), or a [`QuantMatrix`] that is multiplied with [`Activations`] in whole numbers. The layouts are those
//! of ggml: a row is a run of blocks, a block holds [`BlockType::block_len`] values in [`BlockType::block_bytes`] bytes, with its
//! own scale.
//!
//! **A product is the same to the last bit** on every processor, with every [`Kernel`], and whatever rows are computed at the same
//! time; only what a NaN looks like inside is left to the processor.
//!
//! This crate knows no file format, no tensor library and no thread.

mod activations;
mod block;
mod dequantize;
mod error;
mod kernel;
mod matrix;
mod quantize;

pub use activations::{ACTIVATION_BLOCK, ActivationRows, Activations};
pub use block::BlockType;
pub use dequantize::dequantize;
pub use error::QuantError;
pub use kernel::Kernel;
pub use matrix::{GROUP_ROWS, QuantMatrix};
pub use quantize::quantize;

#[cfg(test)]
mod tests;
