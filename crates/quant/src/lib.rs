//! Block-quantised tensors: their layouts, conversion to and from f32, and matrix products that never convert back.
//!
//! In go the raw little-endian bytes of a GGUF or safetensors tensor and its [`BlockType`]. Out come f32 values in the
//! same order ([`dequantize`]; the inverse is [`quantize`]), or a [`QuantMatrix`] that is multiplied with
//! [`Activations`] in integers. The layouts are those of ggml: a row is a run of blocks, and a block holds
//! [`BlockType::block_len`] values in [`BlockType::block_bytes`] bytes, with its own scale.
//!
//! **A product is identical to the last bit** on every processor, with every [`Kernel`], and whatever rows are computed
//! at the same time; only the payload of a NaN depends on the processor.
//!
//! It never reads a file, uses no tensor library, and starts no thread.

mod activations;
mod block;
mod dequantize;
mod error;
mod ggml;
mod kernel;
mod layout;
mod matrix;
mod quantize;
mod round;

pub use activations::{ACTIVATION_BLOCK, ActivationRows, Activations};
pub use block::BlockType;
pub use dequantize::dequantize;
pub use error::QuantError;
pub use kernel::Kernel;
pub use layout::GROUP_ROWS;
pub use matrix::QuantMatrix;
pub use quantize::quantize;

#[cfg(test)]
mod tests;
