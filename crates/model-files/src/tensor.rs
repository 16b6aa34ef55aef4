//! The tensors of a model by their role, and views of their bytes.

use std::fmt;

use quant::{BlockType, QuantError, dequantize};

/// The role of a tensor in the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TensorName {
    /// `[vocab_size, hidden_size]`: one row per token.
    Embedding,
    /// `[1, hidden_size]`: the norm before the output.
    OutputNorm,
    /// `[vocab_size, hidden_size]`: the output matrix; the embedding if tied.
    Output,
    /// One of the nine tensors of a layer, counted from 0.
    Layer(usize, LayerTensor),
}

/// The role of a tensor in a layer. Matrices are `[outputs, inputs]`: `y = W x`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LayerTensor {
    /// `[1, hidden_size]`.
    AttnNorm,
    /// `[n_heads * head_dim, hidden_size]`, its rows in the model's `RopeLayout`.
    Query,
    /// `[n_kv_heads * head_dim, hidden_size]`, its rows in the model's `RopeLayout`.
    Key,
    /// `[n_kv_heads * head_dim, hidden_size]`.
    Value,
    /// `[hidden_size, n_heads * head_dim]`.
    AttnOutput,
    /// `[1, hidden_size]`.
    FfnNorm,
    /// `[intermediate_size, hidden_size]`.
    FfnGate,
    /// `[intermediate_size, hidden_size]`.
    FfnUp,
    /// `[hidden_size, intermediate_size]`.
    FfnDown,
}

impl LayerTensor {
    /// All nine, in the order in which a layer uses them.
    pub const ALL: [Self; 9] = [
        Self::AttnNorm,
        Self::Query,
        Self::Key,
        Self::Value,
        Self::AttnOutput,
        Self::FfnNorm,
        Self::FfnGate,
        Self::FfnUp,
        Self::FfnDown,
    ];
}

impl fmt::Display for TensorName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedding => f.write_str("embedding"),
            Self::OutputNorm => f.write_str("output norm"),
            Self::Output => f.write_str("output"),
            Self::Layer(layer_idx, tensor) => write!(f, "layer {layer_idx} {tensor:?}"),
        }
    }
}

/// A matrix in the mapped file, row by row. A norm is a matrix of one row.
#[derive(Debug, Clone, Copy)]
pub struct TensorView<'a> {
    /// Number of rows.
    pub rows: usize,
    /// Values per row; whole blocks.
    pub cols: usize,
    /// How a row is stored.
    pub block_type: BlockType,
    /// `rows` rows without gaps.
    pub bytes: &'a [u8],
}

impl<'a> TensorView<'a> {
    /// Returns the stored bytes of one row.
    ///
    /// # Panics
    /// If `row` is not below `rows`.
    pub fn row_bytes(&self, row: usize) -> &'a [u8] {
        let len = self.bytes.len() / self.rows;
        &self.bytes[row * len..(row + 1) * len]
    }

    /// Writes all values, row by row, to `out`.
    ///
    /// # Errors
    /// If `out` is not `rows * cols` long.
    pub fn dequantize(&self, out: &mut [f32]) -> Result<(), QuantError> {
        dequantize(self.block_type, self.bytes, out)
    }

    /// Writes the values of one row to `out`.
    ///
    /// # Errors
    /// If `out` is not `cols` long.
    ///
    /// # Panics
    /// If `row` is not below `rows`.
    pub fn dequantize_row(&self, row: usize, out: &mut [f32]) -> Result<(), QuantError> {
        dequantize(self.block_type, self.row_bytes(row), out)
    }
}
