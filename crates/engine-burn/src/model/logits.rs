//! What a chunk's logits look like outside of the device.

use burn::tensor::Tensor;

use crate::BurnEngineError;

/// Which tokens of a chunk need logits; the output matrix is a fifth of a small model's work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogitsWanted {
    /// None: more of the prompt follows.
    None,
    /// The last one's, to sample the next token from.
    Last,
    /// Every one's.
    All,
}

/// One row of logits for each token that wanted them.
#[derive(Debug, Clone, PartialEq)]
pub struct Logits {
    values: Vec<f32>,
    vocab_size: usize,
}

impl Logits {
    pub(super) fn none(vocab_size: usize) -> Self {
        Self {
            values: Vec::new(),
            vocab_size,
        }
    }

    pub(super) fn read(tensor: Tensor<2>) -> Result<Self, BurnEngineError> {
        let [_, vocab_size] = tensor.dims();
        let values = tensor
            .try_into_vec_as::<f32>()
            .map_err(|error| BurnEngineError::ReadBack {
                reason: error.to_string(),
            })?;
        Ok(Self { values, vocab_size })
    }

    /// The rows, in the order of the chunk, each of `vocab_size` values.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[f32]> + DoubleEndedIterator {
        self.values.chunks_exact(self.vocab_size)
    }

    /// The last row, if any were wanted.
    #[must_use]
    pub fn last(&self) -> Option<&[f32]> {
        self.rows().next_back()
    }

    /// All values, row by row.
    #[must_use]
    pub fn into_values(self) -> Vec<f32> {
        self.values
    }
}
