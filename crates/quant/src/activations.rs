//! The other factor of a product: rows of f32, rounded to signed bytes block by block.
//!
//! Rows of f32 go in. Out comes, for each block of 32 values, a scale `d` and 32 whole numbers `q` of -127 to 127 with
//! `x ≈ d * q`, each off by at most `d / 2`. A block depends on its 32 values and on nothing else, so a row is the same whatever
//! rows are quantised with it. The memory is kept from one use to the next.

pub(crate) mod panel;

use crate::QuantError;
use crate::dequantize::BLOCK;
use crate::kernel::{Kernel, Tiles, Work};

pub(crate) use panel::{PANEL_ROWS, Panel};

/// Values of a row that are rounded together.
pub const ACTIVATION_BLOCK: usize = BLOCK;

/// The largest of the whole numbers: symmetric, since -128 would need a sum that 16 bits don't hold.
const MAX_QUANT: f32 = 127.0;

/// 1.5 * 2^23: a small number that is added to it is rounded to a whole one, ties to even, which is left in the sum's low bits.
const ROUNDER: f32 = 12_582_912.0;

/// 32 values of a row: `values[i] ≈ scale * quants[i]`.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct ActivationBlock {
    pub(crate) quants: [i8; BLOCK],
    pub(crate) scale: f32,
    /// The sum of the quants.
    pub(crate) sum: i32,
    /// `scale * sum`, rounded once.
    pub(crate) scaled_sum: f32,
}

/// Rows that a [`QuantMatrix`](crate::QuantMatrix) can be multiplied with.
#[derive(Debug, Clone, Default)]
pub struct Activations {
    /// At least as many as the rows have; what is behind them is left from before.
    blocks: Vec<ActivationBlock>,
    /// As many rows as fill panels, once more, and behind them as above; none for kernels that don't take them.
    panels: Vec<Panel>,
    n_rows: usize,
    n_cols: usize,
}

impl Activations {
    /// No rows yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Quantises rows of `n_cols` values, which follow each other without gaps, in place of those that were here before.
    ///
    /// A block whose values are all below 1.5e-36 is zero. One with a NaN or an infinity becomes NaN as a whole, and so does every
    /// output of its row.
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

    /// Makes room for rows that are then quantised by [`ActivationRows::quantize`]; until then they are whatever was here before.
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

    /// The rows in parts of `n_rows`, the last of which may have fewer, so that threads can share the work of quantising them. Rows
    /// that a kernel takes all at once come first, and in parts of their own.
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

    /// How many rows there are.
    #[must_use]
    pub fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// How many values a row has.
    #[must_use]
    pub fn n_cols(&self) -> usize {
        self.n_cols
    }

    /// The blocks of `T` rows from `first` on.
    pub(crate) fn rows<const T: usize>(&self, first: usize) -> [&[ActivationBlock]; T] {
        let n_blocks = self.n_cols / BLOCK;
        std::array::from_fn(|t| &self.blocks[(first + t) * n_blocks..][..n_blocks])
    }

    /// The panels of [`PANEL_ROWS`] rows from `first` on, if there are such.
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
    /// The same rows again, or nothing.
    panels: &'a mut [Panel],
    n_blocks: usize,
}

impl ActivationRows<'_> {
    /// Which row of all the first one is.
    #[must_use]
    pub fn first_row(&self) -> usize {
        self.first_row
    }

    /// How many rows there are.
    #[must_use]
    pub fn n_rows(&self) -> usize {
        self.blocks.len() / self.n_blocks
    }

    /// Quantises a row, as [`Activations::quantize`] does.
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

    /// Quantises a row whose values `block` computes, block by block in order: as it is inlined, it is compiled for the
    /// instructions of the processor, and what it computes never is in memory.
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

/// Makes it at least so long. It never shrinks: a layer's products take turns with short and long rows.
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

/// Some blocks, before and after.
pub(crate) struct Quantization<'a, B> {
    pub(crate) block: B,
    pub(crate) out: &'a mut [ActivationBlock],
}

impl<B: Fn(usize) -> [f32; BLOCK]> Work for Quantization<'_, B> {
    fn with(self, kernel: impl Tiles) {
        kernel.quantize(self.block, self.out);
    }
}

/// Quantises what `block` gives. Inlined into each kernel, which compiles it for its instructions; none of them changes what comes
/// out.
#[inline(always)]
pub(crate) fn quantize_blocks(block: impl Fn(usize) -> [f32; BLOCK], out: &mut [ActivationBlock]) {
    for (idx, out) in out.iter_mut().enumerate() {
        *out = quantize_block(&block(idx));
    }
}

#[inline(always)]
fn quantize_block(values: &[f32; BLOCK]) -> ActivationBlock {
    // Without the sign, floats are ordered as their bits are; infinities and NaN come last.
    let mut max_bits = 0;
    for value in values {
        max_bits = max_bits.max((value.to_bits() & 0x7fff_ffff) as i32);
    }
    let max = f32::from_bits(max_bits as u32);
    let scale = max / MAX_QUANT;
    if !scale.is_normal() {
        // By its bits too: valgrind takes NaN for finite.
        let is_finite = max_bits < f32::INFINITY.to_bits() as i32;
        let scale = if is_finite { 0.0 } else { f32::NAN };
        return ActivationBlock {
            scale,
            scaled_sum: scale,
            ..ActivationBlock::default()
        };
    }
    let per_unit = MAX_QUANT / max;
    let mut quants = [0; BLOCK];
    let mut sum = 0;
    for (quant, value) in quants.iter_mut().zip(values) {
        *quant = (value * per_unit + ROUNDER).to_bits() as i8;
        sum += i32::from(*quant);
    }
    ActivationBlock {
        quants,
        scale,
        sum,
        scaled_sum: scale * sum as f32,
    }
}
