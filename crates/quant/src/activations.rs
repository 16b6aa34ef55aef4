//! The right factor of a product: rows of f32, rounded to signed bytes block by block.
//!
//! Rows of f32 go in. Out come, for each block of 32 values, a scale `d` and 32 integers `q` from -127 to 127 with `x ≈
//! d * q`, each with an error of at most `d / 2`. A block depends on its 32 values only, so a row is the same whatever
//! rows are quantised with it. The memory is reused for the next rows.

use crate::QuantError;
use crate::kernel::{Kernel, KernelTask, TileKernel};
use crate::layout::{ActivationBlock, BLOCK, PANEL_ROWS, Panel};

/// Values of a row that are rounded together.
pub const ACTIVATION_BLOCK: usize = BLOCK;

/// Quantised rows with which a [`QuantMatrix`](crate::QuantMatrix) can be multiplied.
#[derive(Debug, Clone, Default)]
pub struct Activations {
    /// Blocks of all rows, possibly followed by unused ones from earlier rows.
    blocks: Vec<ActivationBlock>,
    /// The rows that fill whole panels, a second time, and possibly unused ones as above; empty for kernels without
    /// panels.
    panels: Vec<Panel>,
    n_rows: usize,
    n_cols: usize,
}

impl Activations {
    /// Creates an empty buffer.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Replaces the content by the quantised rows of `values`, which have `n_cols` values each and no gaps between
    /// them.
    ///
    /// A block whose values are all below 1.5e-36 becomes zero. One with a NaN or an infinity becomes NaN as a whole,
    /// and so does every output of its row.
    ///
    /// # Errors
    /// [`QuantError::PartialRow`] if `n_cols` is 0 or no multiple of 32, or if the values aren't whole rows.
    pub fn quantize(&mut self, values: &[f32], n_cols: usize) -> Result<(), QuantError> {
        check_rows(values.len(), n_cols)?;
        self.resize(values.len() / n_cols, n_cols)?;
        for mut part in self.parts_mut(PANEL_ROWS) {
            for idx in 0..part.n_rows() {
                part.quantize(idx, &values[(part.first_row() + idx) * n_cols..][..n_cols])?;
            }
        }
        Ok(())
    }

    /// Makes room for rows that are then quantised by [`ActivationRows::quantize`]; until then their content is
    /// unspecified.
    ///
    /// # Errors
    /// [`QuantError::PartialRow`] if `n_cols` is 0 or no multiple of 32.
    pub fn resize(&mut self, n_rows: usize, n_cols: usize) -> Result<(), QuantError> {
        check_rows(n_rows * n_cols, n_cols)?;
        (self.n_rows, self.n_cols) = (n_rows, n_cols);
        let n_blocks = n_cols / BLOCK;
        grow(&mut self.blocks, n_rows * n_blocks);
        if Kernel::detect().takes_panels() {
            grow(&mut self.panels, n_rows / PANEL_ROWS * n_blocks);
        }
        Ok(())
    }

    /// Splits the rows into parts of `n_rows`, the last of which may have fewer, so that threads can share the work of
    /// quantising them. Rows that belong to panels come first, one part per panel.
    ///
    /// # Panics
    /// If `n_rows` is 0.
    pub fn parts_mut(&mut self, n_rows: usize) -> impl Iterator<Item = ActivationRows<'_>> {
        let n_blocks = (self.n_cols / BLOCK).max(1);
        let n_panels = if self.panels.is_empty() {
            0
        } else {
            self.n_rows / PANEL_ROWS
        };
        let blocks = &mut self.blocks[..self.n_rows * n_blocks];
        let (paneled, rest) = blocks.split_at_mut(n_panels * PANEL_ROWS * n_blocks);
        let paneled = paneled
            .chunks_mut(PANEL_ROWS * n_blocks)
            .zip(self.panels.chunks_mut(n_blocks));
        let rest = rest.chunks_mut(n_rows * n_blocks).map(|blocks| (blocks, &mut [][..]));
        let mut next_row = 0;
        paneled.chain(rest).map(move |(blocks, panels)| {
            let first_row = next_row;
            next_row += blocks.len() / n_blocks;
            ActivationRows {
                first_row,
                blocks,
                panels,
                n_blocks,
            }
        })
    }

    /// Returns the number of rows.
    #[must_use]
    pub fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// Returns the number of values per row.
    #[must_use]
    pub fn n_cols(&self) -> usize {
        self.n_cols
    }

    /// Returns the blocks of `T` rows starting at `first`.
    pub(crate) fn rows<const T: usize>(&self, first: usize) -> [&[ActivationBlock]; T] {
        let n_blocks = self.n_cols / BLOCK;
        std::array::from_fn(|t| &self.blocks[(first + t) * n_blocks..][..n_blocks])
    }

    /// Returns the panels of the [`PANEL_ROWS`] rows starting at `first`, if there are any.
    pub(crate) fn panels(&self, first: usize) -> Option<&[Panel]> {
        let n_blocks = self.n_cols / BLOCK;
        let panels = self.panels.get(first / PANEL_ROWS * n_blocks..)?;
        panels.get(..n_blocks).filter(|_| first + PANEL_ROWS <= self.n_rows)
    }
}

/// Some rows of [`Activations`] that are being quantised.
#[derive(Debug)]
pub struct ActivationRows<'a> {
    first_row: usize,
    blocks: &'a mut [ActivationBlock],
    /// The panels of these rows, or empty.
    panels: &'a mut [Panel],
    n_blocks: usize,
}

impl ActivationRows<'_> {
    /// Returns the index of the first row among all rows.
    #[must_use]
    pub fn first_row(&self) -> usize {
        self.first_row
    }

    /// Returns the number of rows in this part.
    #[must_use]
    pub fn n_rows(&self) -> usize {
        self.blocks.len() / self.n_blocks
    }

    /// Quantises a row as [`Activations::quantize`] does.
    ///
    /// # Errors
    /// [`QuantError::PartialRow`] if the values aren't one row.
    ///
    /// # Panics
    /// If there is no row `idx`.
    pub fn quantize(&mut self, idx: usize, values: &[f32]) -> Result<(), QuantError> {
        if values.len() != self.n_blocks * BLOCK {
            let (values, n_cols) = (values.len(), self.n_blocks * BLOCK);
            return Err(QuantError::PartialRow { values, n_cols });
        }
        let (values, _) = values.as_chunks();
        self.quantize_blocks(idx, |block| values[block]);
        Ok(())
    }

    /// Quantises a row whose values `block` computes, block by block in order. `block` is inlined, so it is compiled
    /// for the kernel's instructions and its results never go through memory.
    ///
    /// # Panics
    /// If there is no row `idx`.
    pub fn quantize_blocks(&mut self, idx: usize, block: impl Fn(usize) -> [f32; ACTIVATION_BLOCK]) {
        let blocks = &mut self.blocks[idx * self.n_blocks..][..self.n_blocks];
        Kernel::detect().run(Quantization { block, out: blocks });
        for (panel, block) in self.panels.iter_mut().zip(blocks) {
            panel.set(idx, block);
        }
    }
}

/// Extends `values` to at least `len`. It never shrinks them, since a layer's products alternate between short and long
/// rows.
fn grow<T: Clone + Default>(values: &mut Vec<T>, len: usize) {
    if values.len() < len {
        values.resize(len, T::default());
    }
}

fn check_rows(values: usize, n_cols: usize) -> Result<(), QuantError> {
    let whole_blocks = n_cols != 0 && n_cols.is_multiple_of(BLOCK);
    if !whole_blocks || !values.is_multiple_of(n_cols) {
        return Err(QuantError::PartialRow { values, n_cols });
    }
    Ok(())
}

/// The task of quantising some blocks.
pub(crate) struct Quantization<'a, B> {
    pub(crate) block: B,
    pub(crate) out: &'a mut [ActivationBlock],
}

impl<B: Fn(usize) -> [f32; BLOCK]> KernelTask for Quantization<'_, B> {
    fn run_with(self, kernel: impl TileKernel) {
        kernel.quantize(self.block, self.out);
    }
}
