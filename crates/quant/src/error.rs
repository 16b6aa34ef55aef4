//! What can be wrong with quantised bytes.

use std::ops::Range;

use crate::{BlockType, GROUP_ROWS};

/// Why bytes could not be read as a quantised tensor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QuantError {
    /// The ggml type number names no type that this crate can read.
    #[error(
        "ggml tensor type {id} is not supported (supported: F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K to Q6_K)"
    )]
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
    /// There is no product with blocks of this type.
    #[error("a matrix of {block_type} can't be multiplied as it is stored")]
    NotBlocks {
        /// The layout of the bytes.
        block_type: BlockType,
    },
    /// Nothing is quantised to this type.
    #[error("values can be quantised to Q8_0 or Q4_0, not to {block_type}")]
    NotQuantizable {
        /// The layout asked for.
        block_type: BlockType,
    },
    /// A value that no block can hold.
    #[error("value {value} is not a number, or too large to be quantised")]
    NotFinite {
        /// Which one, from 0.
        value: usize,
    },
    /// The system has no memory for a matrix.
    #[error("there are no {bytes} bytes of memory for a matrix")]
    NoMemory {
        /// What it takes.
        bytes: usize,
    },
    /// There is nothing to multiply.
    #[error("a matrix of {n_rows} rows and {n_cols} columns is empty")]
    EmptyMatrix {
        /// Rows asked for.
        n_rows: usize,
        /// Columns asked for.
        n_cols: usize,
    },
    /// The values to quantise are no rows of whole blocks.
    #[error("{values} values are not rows of {n_cols}, or those are not whole blocks of 32")]
    PartialRow {
        /// How many values there were.
        values: usize,
        /// How many a row should have.
        n_cols: usize,
    },
    /// A product was asked for part of a group of rows, or for rows that aren't there.
    #[error("rows {} to {} are not whole groups of {GROUP_ROWS} of a matrix of {n_rows} rows", rows.start, rows.end)]
    RowRange {
        /// The rows.
        rows: Range<usize>,
        /// Rows of the matrix.
        n_rows: usize,
    },
    /// The two factors have rows of different lengths.
    #[error("activations of {activations} columns don't fit a matrix of {matrix}")]
    Columns {
        /// Columns of the activations.
        activations: usize,
        /// Columns of the matrix.
        matrix: usize,
    },
    /// The outputs are not those of the product.
    #[error("the product needs {activations} outputs of {rows} values each")]
    Outputs {
        /// Rows of the activations.
        activations: usize,
        /// Rows of the matrix that were asked for.
        rows: usize,
    },
}
