//! What can be wrong with quantised bytes.

use crate::BlockType;

/// Why bytes could not be read as a quantised tensor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QuantError {
    /// The ggml type number names no type that this crate can read.
    #[error("ggml tensor type {id} is not supported (supported: F32, F16, Q4_0, Q4_1, Q8_0, BF16)")]
    UnknownType {
        /// The number as found in the file.
        id: u32,
    },
    /// The values asked for do not fill whole blocks.
    #[error("{values} values are not whole blocks of {block_type} ({} values each)", block_type.block_len())]
    PartialBlock {
        /// The layout of the bytes.
        block_type: BlockType,
        /// How many values were asked for.
        values: usize,
    },
    /// The bytes are not as many as the values need.
    #[error("{values} values of {block_type} do not take {bytes} bytes")]
    WrongLength {
        /// The layout of the bytes.
        block_type: BlockType,
        /// How many values were asked for.
        values: usize,
        /// How many bytes were given.
        bytes: usize,
    },
}
