//! Stores a matrix group by group, in the order of [`layout`](crate::layout).
//!
//! The stored bytes of rows go in once; out come groups, which know the kernel's function for their type. It never
//! computes a product itself.

use std::marker::PhantomData;
use std::sync::Arc;

use bytemuck::Pod;
use half::f16;
use large_pages::{Arena, Region};

use crate::QuantError;
use crate::kernel::{PanelOutputs, TileKernel};
use crate::layout::{ActivationBlock, GROUP_ROWS, Panel, Q4_0Group, Q4_1Group, Q8_0Group, WORD, Words};

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
