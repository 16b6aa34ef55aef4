//! Logits in the CPU's memory, and which tokens of a chunk get any.

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
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Logits {
    values: Vec<f32>,
    vocab_size: usize,
}

impl Logits {
    /// Makes logits without rows.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            values: Vec::new(),
            vocab_size: 0,
        }
    }

    /// Makes room for `n_rows` rows of `vocab_size` values, to be written: until then they are what was here before.
    pub(super) fn resize(&mut self, n_rows: usize, vocab_size: usize) -> &mut [f32] {
        self.vocab_size = vocab_size;
        self.values.resize(n_rows * vocab_size, 0.0);
        &mut self.values
    }

    /// Returns one row, to be written to.
    ///
    /// # Panics
    /// If there is no such row.
    pub(crate) fn row_mut(&mut self, idx: usize) -> &mut [f32] {
        &mut self.values[idx * self.vocab_size..][..self.vocab_size]
    }

    /// Returns the rows, in the order of the chunk, each of `vocab_size` values.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[f32]> + DoubleEndedIterator {
        self.values.chunks_exact(self.vocab_size.max(1))
    }

    /// Returns the last row, if any were wanted.
    #[must_use]
    pub fn last(&self) -> Option<&[f32]> {
        self.rows().next_back()
    }

    /// Returns all values, row by row.
    #[must_use]
    pub fn into_values(self) -> Vec<f32> {
        self.values
    }
}
