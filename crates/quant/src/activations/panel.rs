//! Rows of activations in an interleaved layout, for kernels that multiply many rows at once.
//!
//! A panel is 32 columns of [`PANEL_ROWS`] rows, in octets of eight rows: four columns of each row of an octet are 32
//! bytes, one register, and so are the eight rows' scales. It holds the same data as the rows' blocks, in as many
//! bytes.

use super::ActivationBlock;
use crate::dequantize::BLOCK;
use crate::matrix::WORD;

/// Rows of a panel. The sums of one row of a matrix, one register per octet, fit into the registers, and 64 rows of 32
/// columns, with everything computed from them, into the first-level cache.
pub(crate) const PANEL_ROWS: usize = 64;

/// Rows of an octet: as many 32-bit sums as fit into a 256-bit register.
pub(crate) const OCTET_ROWS: usize = 8;

/// Octets of a panel.
pub(crate) const OCTETS: usize = PANEL_ROWS / OCTET_ROWS;

/// 32 columns of 64 rows.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Panel(pub(crate) [Octet; OCTETS]);

/// 32 columns of eight rows; the fields mean what those of [`ActivationBlock`] mean.
#[derive(Debug, Clone, Copy, Default)]
#[repr(align(32))]
pub(crate) struct Octet {
    /// In word `k`, byte `4r + i` is column `4k + i` of row `r`.
    pub(crate) quants: [[i8; OCTET_ROWS * WORD]; BLOCK / WORD],
    pub(crate) scales: [f32; OCTET_ROWS],
    pub(crate) scaled_sums: [f32; OCTET_ROWS],
    pub(crate) sums: [i32; OCTET_ROWS],
}

impl Panel {
    /// Stores a block as the one of row `row`.
    pub(super) fn set(&mut self, row: usize, block: &ActivationBlock) {
        let octet = &mut self.0[row / OCTET_ROWS];
        let row = row % OCTET_ROWS;
        let (words, _) = block.quants.as_chunks::<WORD>();
        for (quants, word) in octet.quants.iter_mut().zip(words) {
            quants[row * WORD..][..WORD].copy_from_slice(word);
        }
        octet.scales[row] = block.scale;
        octet.scaled_sums[row] = block.scaled_sum;
        octet.sums[row] = block.sum;
    }
}
