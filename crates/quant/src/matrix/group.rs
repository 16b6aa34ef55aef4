//! The order of a matrix in memory.
//!
//! Eight rows form a group. A group is one struct for every 32 columns, which holds the content of the eight rows'
//! blocks with the same types and in as many bytes, but interleaves the rows. Quants are stored four bytes at a time,
//! as a *word*: one word of each row makes 32 bytes, one register. An incomplete last group is padded with zeros.

use std::marker::PhantomData;
use std::sync::Arc;

use bytemuck::{Pod, Zeroable};
use half::f16;
use large_pages::{Arena, Region};

use crate::QuantError;
use crate::activations::{ActivationBlock, Panel};
use crate::kernel::{PanelOutputs, TileKernel};

/// Rows that are stored and computed together: as many as 32-bit sums fit into a 256-bit register.
pub const GROUP_ROWS: usize = 8;

/// Consecutive bytes of one row: the content of one 32-bit lane.
pub(crate) const WORD: usize = 4;

/// One word of each of the eight rows.
type Words = [u8; GROUP_ROWS * WORD];

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

/// Eight blocks of one type.
pub(crate) trait RowGroup: Pod {
    /// Bytes of a stored block.
    const BLOCK_BYTES: usize;

    /// Stores a block as the one of row `row`.
    fn set(&mut self, row: usize, block: &[u8]);

    /// Multiplies a whole group by `T` rows of activations.
    fn tile<const T: usize>(
        kernel: impl TileKernel,
        group: &[Self],
        rows: [&[ActivationBlock]; T],
    ) -> [[f32; GROUP_ROWS]; T];

    /// Does the same for the rows of panels and returns true, or returns false if the kernel doesn't use panels.
    fn panel(_kernel: impl TileKernel, _group: &[Self], _panels: &[Panel], _out: &mut PanelOutputs) -> bool {
        false
    }
}

impl RowGroup for Q4_0Group {
    const BLOCK_BYTES: usize = 18;

    fn set(&mut self, row: usize, block: &[u8]) {
        self.scales[row] = f16_at(block, 0);
        set_words(&mut self.quants, row, &block[2..]);
    }

    fn tile<const T: usize>(
        kernel: impl TileKernel,
        group: &[Self],
        rows: [&[ActivationBlock]; T],
    ) -> [[f32; GROUP_ROWS]; T] {
        kernel.four_bits(group, rows)
    }

    fn panel(kernel: impl TileKernel, group: &[Self], panels: &[Panel], out: &mut PanelOutputs) -> bool {
        kernel.four_bits_of_panels(group, panels, out)
    }
}

impl RowGroup for Q4_1Group {
    const BLOCK_BYTES: usize = 20;

    fn set(&mut self, row: usize, block: &[u8]) {
        self.scales[row] = f16_at(block, 0);
        self.mins[row] = f16_at(block, 2);
        set_words(&mut self.quants, row, &block[4..]);
    }

    fn tile<const T: usize>(
        kernel: impl TileKernel,
        group: &[Self],
        rows: [&[ActivationBlock]; T],
    ) -> [[f32; GROUP_ROWS]; T] {
        kernel.four_bits(group, rows)
    }

    fn panel(kernel: impl TileKernel, group: &[Self], panels: &[Panel], out: &mut PanelOutputs) -> bool {
        kernel.four_bits_of_panels(group, panels, out)
    }
}

impl RowGroup for Q8_0Group {
    const BLOCK_BYTES: usize = 34;

    fn set(&mut self, row: usize, block: &[u8]) {
        self.scales[row] = f16_at(block, 0);
        set_words(&mut self.quants, row, &block[2..]);
    }

    fn tile<const T: usize>(
        kernel: impl TileKernel,
        group: &[Self],
        rows: [&[ActivationBlock]; T],
    ) -> [[f32; GROUP_ROWS]; T] {
        kernel.eight_bits(group, rows)
    }
}

/// The groups of a matrix, in memory that is read from end to end.
#[derive(Debug, Clone)]
pub(super) struct GroupedRows<G> {
    memory: Arc<Region>,
    groups: PhantomData<G>,
}

impl<G: RowGroup> GroupedRows<G> {
    /// Reorders the stored rows group by group. The caller has checked that `bytes` are whole rows.
    pub(super) fn new(arena: &mut Arena, bytes: &[u8], n_rows: usize) -> Result<Self, QuantError> {
        let row_bytes = bytes.len() / n_rows;
        let n_blocks = row_bytes / G::BLOCK_BYTES;
        let size = n_rows.div_ceil(GROUP_ROWS) * n_blocks * size_of::<G>();
        let mut memory = arena.allocate(size).map_err(|_| QuantError::NoMemory { bytes: size })?;
        let groups: &mut [G] = bytemuck::cast_slice_mut(&mut memory);
        for (row, bytes) in bytes.chunks_exact(row_bytes).enumerate() {
            let group = &mut groups[row / GROUP_ROWS * n_blocks..][..n_blocks];
            for (group, block) in group.iter_mut().zip(bytes.chunks_exact(G::BLOCK_BYTES)) {
                group.set(row % GROUP_ROWS, block);
            }
        }
        Ok(Self {
            memory: Arc::new(memory),
            groups: PhantomData,
        })
    }

    pub(super) fn as_slice(&self) -> &[G] {
        bytemuck::cast_slice(&self.memory)
    }

    pub(super) fn bytes(&self) -> usize {
        self.memory.len()
    }
}

fn f16_at(block: &[u8], at: usize) -> f16 {
    f16::from_le_bytes([block[at], block[at + 1]])
}

fn set_words(words: &mut [Words], row: usize, quants: &[u8]) {
    for (words, quants) in words.iter_mut().zip(quants.chunks_exact(WORD)) {
        words[row * WORD..][..WORD].copy_from_slice(quants);
    }
}
