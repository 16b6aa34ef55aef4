//! The errors of this crate.

use std::ops::Range;

use crate::{BlockType, GROUP_ROWS};

/// Why a tensor could not be read, quantised or multiplied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QuantError {
    /// The ggml type number is not one of the supported layouts.
    #[error(
        "ggml tensor type {id} is not supported (supported: F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K to Q6_K)"
    )]
    UnknownType {
        /// The number as found in the file.
        id: u32,
    },
    /// The requested values do not fill whole blocks.
    #[error("{values} values are not whole blocks of {block_type} ({} values each)", block_type.block_len())]
    PartialBlock {
        /// The layout of the bytes.
        block_type: BlockType,
        /// The number of requested values.
        values: usize,
    },
    /// The number of bytes is not what the values need.
    #[error("{values} values of {block_type} do not take {bytes} bytes")]
    WrongLength {
        /// The layout of the bytes.
        block_type: BlockType,
        /// The number of requested values.
        values: usize,
        /// The number of given bytes.
        bytes: usize,
    },
    /// Products with this type are not supported.
    #[error("a matrix of {block_type} can't be multiplied as it is stored")]
    NotBlocks {
        /// The layout of the bytes.
        block_type: BlockType,
    },
    /// Quantising to this type is not supported.
    #[error("values can be quantised to Q8_0 or Q4_0, not to {block_type}")]
    NotQuantizable {
        /// The requested layout.
        block_type: BlockType,
    },
    /// A value is NaN, infinite or too large for a block.
    #[error("value {value} is not a number, or too large to be quantised")]
    NotFinite {
        /// Index of the value, from 0.
        value: usize,
    },
    /// The system has no memory for a matrix.
    #[error("there are no {bytes} bytes of memory for a matrix")]
    NoMemory {
        /// The size of the matrix.
        bytes: usize,
    },
    /// The matrix has no rows or no columns.
    #[error("a matrix of {n_rows} rows and {n_cols} columns is empty")]
    EmptyMatrix {
        /// Requested rows.
        n_rows: usize,
        /// Requested columns.
        n_cols: usize,
    },
    /// The values to quantise are not rows of whole blocks.
    #[error("{values} values are not rows of {n_cols}, or those are not whole blocks of 32")]
    PartialRow {
        /// The number of values.
        values: usize,
        /// Columns per row.
        n_cols: usize,
    },
    /// A product was requested for part of a group of rows, or for rows beyond the matrix.
    #[error("rows {} to {} are not whole groups of {GROUP_ROWS} of a matrix of {n_rows} rows", rows.start, rows.end)]
    RowRange {
        /// The requested rows.
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
    /// The output buffers don't have the shape of the product.
    #[error("the product needs {activations} outputs of {rows} values each")]
    Outputs {
        /// Rows of the activations.
        activations: usize,
        /// Requested rows of the matrix.
        rows: usize,
    },
}
