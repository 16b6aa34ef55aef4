//! The layouts of both factors of a product in memory, on which their owners and the kernels agree.
//!
//! **The matrix.** Eight rows form a group. A group is one struct for every 32 columns, which holds the content of the
//! eight rows' blocks with the same types and in as many bytes, but interleaves the rows. Quants are stored four bytes
//! at a time, as a *word*: one word of each row makes 32 bytes, one register. An incomplete last group is padded with
//! zeros.
//!
//! **The activations.** A row is a run of blocks. For kernels that multiply many rows at once, rows are stored a second
//! time, in *panels* of 32 columns of [`PANEL_ROWS`] rows. A panel consists of octets of eight rows: four columns of
//! each row of an octet are 32 bytes, one register, and so are the eight rows' scales. It holds the same data as the
//! rows' blocks, in as many bytes.
//!
//! It never allocates or computes anything.

use bytemuck::{Pod, Zeroable};
use half::f16;

/// Values in a quantised block; the same for all of ggml's simple layouts.
pub(crate) const BLOCK: usize = 32;

/// Rows that are stored and computed together: as many as 32-bit sums fit into a 256-bit register.
pub const GROUP_ROWS: usize = 8;

/// Consecutive bytes of one row: the content of one 32-bit lane.
pub(crate) const WORD: usize = 4;

/// One word of each of the eight rows.
pub(crate) type Words = [u8; GROUP_ROWS * WORD];

/// Words of 4-bit quants: in word `k` of a row, byte `i` holds column `4k + i` in its low nibble and `16 + 4k + i` in
/// its high nibble.
pub(crate) type FourBits = [Words; 4];

/// Eight Q4_0 blocks.
#[derive(Debug, Clone, Copy, Default, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct Q4_0Group {
    pub(crate) scales: [f16; GROUP_ROWS],
    pub(crate) quants: FourBits,
}

/// Eight Q4_1 blocks.
#[derive(Debug, Clone, Copy, Default, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct Q4_1Group {
    pub(crate) scales: [f16; GROUP_ROWS],
    pub(crate) mins: [f16; GROUP_ROWS],
    pub(crate) quants: FourBits,
}

/// Eight Q8_0 blocks; byte `i` of a row's word `k` is column `4k + i`.
#[derive(Debug, Clone, Copy, Default, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct Q8_0Group {
    pub(crate) scales: [f16; GROUP_ROWS],
    pub(crate) quants: [Words; 8],
}

/// What the two 4-bit types have in common.
pub(crate) trait FourBitGroup {
    fn scales(&self) -> &[f16; GROUP_ROWS];
    fn quants(&self) -> &FourBits;

    /// Returns the minimums; if there are none, 8 is subtracted from every quant.
    fn mins(&self) -> Option<&[f16; GROUP_ROWS]>;
}

impl FourBitGroup for Q4_0Group {
    fn scales(&self) -> &[f16; GROUP_ROWS] {
        &self.scales
    }

    fn quants(&self) -> &FourBits {
        &self.quants
    }

    fn mins(&self) -> Option<&[f16; GROUP_ROWS]> {
        None
    }
}

impl FourBitGroup for Q4_1Group {
    fn scales(&self) -> &[f16; GROUP_ROWS] {
        &self.scales
    }

    fn quants(&self) -> &FourBits {
        &self.quants
    }

    fn mins(&self) -> Option<&[f16; GROUP_ROWS]> {
        Some(&self.mins)
    }
}

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
    pub(crate) fn set(&mut self, row: usize, block: &ActivationBlock) {
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
