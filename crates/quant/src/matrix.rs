//! A block-quantised matrix that is multiplied without being converted to f32.
//!
//! The stored bytes of a tensor go in once and are reordered ([`layout`](crate::layout)) without taking more memory;
//! then [`Activations`] go in and f32 outputs come out. An output is one sum in one order, whatever kernel computes it
//! and whatever rows, of either factor, are computed with it. It never starts a thread: the caller splits the rows
//! among its own.

mod group;

use std::ops::Range;

use large_pages::Arena;

use crate::kernel::{Kernel, KernelTask, TileKernel};
use crate::layout::{BLOCK, GROUP_ROWS, PANEL_ROWS, Q4_0Group, Q4_1Group, Q8_0Group};
use crate::{Activations, BlockType, QuantError};
use group::{GroupedRows, RowGroup};

/// Rows of activations that share each loaded and unpacked block. With eight rows the sums spill to the first-level
/// cache, which costs less than unpacking a block again.
const TILE_ROWS: usize = 8;

/// Rows of the tile for the remainder: four sums of either kind, with their operands, are all that 16 registers hold.
const SMALL_TILE_ROWS: usize = 4;

/// Rows of activations that meet a group of the matrix before the next group is read: 64 rows of 1,536 columns take 132
/// KB, and so stay in the second-level cache while the matrix is read.
const PASS_ROWS: usize = PANEL_ROWS;

/// A matrix of Q4_0, Q4_1 or Q8_0 blocks.
#[derive(Debug, Clone)]
pub struct QuantMatrix {
    groups: Groups,
    n_rows: usize,
    n_cols: usize,
    kernel: Kernel,
}

#[derive(Debug, Clone)]
enum Groups {
    Q4_0(GroupedRows<Q4_0Group>),
    Q4_1(GroupedRows<Q4_1Group>),
    Q8_0(GroupedRows<Q8_0Group>),
}

impl QuantMatrix {
    /// Creates a matrix from the bytes of its rows, which follow each other without gaps. It computes with
    /// [`Kernel::detect`].
    ///
    /// # Errors
    /// [`QuantError::NotBlocks`] for a type without products ([`QuantMatrix::holds`]), [`QuantError::EmptyMatrix`],
    /// [`QuantError::PartialBlock`] if `n_cols` are not whole blocks, [`QuantError::WrongLength`] if `bytes` are not
    /// exactly the bytes of the matrix, [`QuantError::NoMemory`].
    pub fn new(block_type: BlockType, n_rows: usize, n_cols: usize, bytes: &[u8]) -> Result<Self, QuantError> {
        Self::new_in(&mut Arena::new(0), block_type, [n_rows, n_cols], bytes)
    }

    /// As [`QuantMatrix::new`], but creates a matrix of `[rows, columns]` in the memory of an arena, beside the other
    /// matrices of a model: each alone may be too small for large pages.
    ///
    /// # Errors
    /// As [`QuantMatrix::new`].
    pub fn new_in(
        arena: &mut Arena,
        block_type: BlockType,
        [n_rows, n_cols]: [usize; 2],
        bytes: &[u8],
    ) -> Result<Self, QuantError> {
        if n_rows == 0 || n_cols == 0 {
            return Err(QuantError::EmptyMatrix { n_rows, n_cols });
        }
        if !n_cols.is_multiple_of(block_type.block_len()) {
            let values = n_cols;
            return Err(QuantError::PartialBlock { block_type, values });
        }
        let values = n_rows.saturating_mul(n_cols);
        if block_type.bytes_for(values) != Some(bytes.len()) {
            let bytes = bytes.len();
            return Err(QuantError::WrongLength {
                block_type,
                values,
                bytes,
            });
        }
        let groups = match block_type {
            BlockType::Q4_0 => Groups::Q4_0(GroupedRows::new(arena, bytes, n_rows)?),
            BlockType::Q4_1 => Groups::Q4_1(GroupedRows::new(arena, bytes, n_rows)?),
            BlockType::Q8_0 => Groups::Q8_0(GroupedRows::new(arena, bytes, n_rows)?),
            BlockType::F32
            | BlockType::F16
            | BlockType::Bf16
            | BlockType::Q5_0
            | BlockType::Q5_1
            | BlockType::Q2K
            | BlockType::Q3K
            | BlockType::Q4K
            | BlockType::Q5K
            | BlockType::Q6K => return Err(QuantError::NotBlocks { block_type }),
        };
        Ok(Self {
            groups,
            n_rows,
            n_cols,
            kernel: Kernel::detect(),
        })
    }

    /// Returns true if matrices of this type are supported.
    #[must_use]
    pub const fn holds(block_type: BlockType) -> bool {
        matches!(block_type, BlockType::Q4_0 | BlockType::Q4_1 | BlockType::Q8_0)
    }

    /// Returns the same matrix computed with another kernel. No output changes by a bit.
    #[must_use]
    pub fn with_kernel(self, kernel: Kernel) -> Self {
        Self { kernel, ..self }
    }

    /// Returns the type of its stored blocks.
    #[must_use]
    pub const fn block_type(&self) -> BlockType {
        match &self.groups {
            Groups::Q4_0(_) => BlockType::Q4_0,
            Groups::Q4_1(_) => BlockType::Q4_1,
            Groups::Q8_0(_) => BlockType::Q8_0,
        }
    }

    /// Returns the number of rows: outputs of a product.
    #[must_use]
    pub fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// Returns the number of columns: inputs of a product.
    #[must_use]
    pub fn n_cols(&self) -> usize {
        self.n_cols
    }

    /// Returns its size in memory, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match &self.groups {
            Groups::Q4_0(groups) => groups.bytes(),
            Groups::Q4_1(groups) => groups.bytes(),
            Groups::Q8_0(groups) => groups.bytes(),
        }
    }

    /// Multiplies some rows of the matrix with every row of the activations: `out[t][i]` becomes the dot product of the
    /// activations' row `t` with row `rows.start + i`.
    ///
    /// # Errors
    /// [`QuantError::RowRange`] if `rows` doesn't begin and end with a group of [`GROUP_ROWS`] rows (or with the
    /// matrix), [`QuantError::Columns`] or [`QuantError::Outputs`] if the shapes don't match. Then `out` is unchanged.
    pub fn multiply(
        &self,
        rows: Range<usize>,
        activations: &Activations,
        out: &mut [&mut [f32]],
    ) -> Result<(), QuantError> {
        self.multiply_with(rows, activations, out, |out, product| *out = product)
    }

    /// As [`QuantMatrix::multiply`], but adds the products to the content of `out`, with one more rounding.
    ///
    /// # Errors
    /// As [`QuantMatrix::multiply`].
    pub fn multiply_add(
        &self,
        rows: Range<usize>,
        activations: &Activations,
        out: &mut [&mut [f32]],
    ) -> Result<(), QuantError> {
        self.multiply_with(rows, activations, out, |out, product| *out += product)
    }

    fn multiply_with(
        &self,
        rows: Range<usize>,
        activations: &Activations,
        out: &mut [&mut [f32]],
        store: impl Fn(&mut f32, f32) + Copy,
    ) -> Result<(), QuantError> {
        self.check(&rows, activations, out)?;
        self.kernel.run(Product {
            matrix: self,
            rows,
            activations,
            out,
            store,
        });
        Ok(())
    }

    fn check(&self, rows: &Range<usize>, activations: &Activations, out: &[&mut [f32]]) -> Result<(), QuantError> {
        let starts_a_group = rows.start.is_multiple_of(GROUP_ROWS) && rows.start <= rows.end;
        let ends_a_group = rows.end.is_multiple_of(GROUP_ROWS) && rows.end < self.n_rows || rows.end == self.n_rows;
        if !starts_a_group || !ends_a_group {
            return Err(QuantError::RowRange {
                rows: rows.clone(),
                n_rows: self.n_rows,
            });
        }
        if activations.n_cols() != self.n_cols {
            return Err(QuantError::Columns {
                activations: activations.n_cols(),
                matrix: self.n_cols,
            });
        }
        if out.len() != activations.n_rows() || out.iter().any(|out| out.len() != rows.len()) {
            return Err(QuantError::Outputs {
                activations: activations.n_rows(),
                rows: rows.len(),
            });
        }
        Ok(())
    }

    fn groups_of<'a, G>(&self, groups: &'a [G], rows: Range<usize>) -> &'a [G] {
        let n_blocks = self.n_blocks();
        &groups[rows.start / GROUP_ROWS * n_blocks..rows.end.div_ceil(GROUP_ROWS) * n_blocks]
    }

    fn n_blocks(&self) -> usize {
        self.n_cols / BLOCK
    }
}

/// The task of a product: rows of a matrix, the activations, the outputs, and how to store them.
struct Product<'a, 'out, S> {
    matrix: &'a QuantMatrix,
    rows: Range<usize>,
    activations: &'a Activations,
    out: &'a mut [&'out mut [f32]],
    store: S,
}

impl<S: Fn(&mut f32, f32) + Copy> KernelTask for Product<'_, '_, S> {
    fn run_with(self, kernel: impl TileKernel) {
        let (matrix, rows) = (self.matrix, self.rows.clone());
        match &matrix.groups {
            Groups::Q4_0(groups) => self.compute(kernel, matrix.groups_of(groups.as_slice(), rows)),
            Groups::Q4_1(groups) => self.compute(kernel, matrix.groups_of(groups.as_slice(), rows)),
            Groups::Q8_0(groups) => self.compute(kernel, matrix.groups_of(groups.as_slice(), rows)),
        }
    }
}

impl<S: Fn(&mut f32, f32) + Copy> Product<'_, '_, S> {
    /// Walks over both factors so that each is read from the fastest cache that holds it.
    fn compute<G: RowGroup>(self, kernel: impl TileKernel, groups: &[G]) {
        let n_blocks = self.activations.n_cols() / BLOCK;
        let mut outputs = [[0.0; GROUP_ROWS]; PANEL_ROWS];
        for (pass, out) in self.out.chunks_mut(PASS_ROWS).enumerate() {
            let first_row = pass * PASS_ROWS;
            let panels = self.activations.panels(first_row);
            for (group_idx, group) in groups.chunks_exact(n_blocks).enumerate() {
                let first_out = group_idx * GROUP_ROWS;
                if panels.is_some_and(|panels| G::panel(kernel, group, panels, &mut outputs)) {
                    write_outputs(&outputs, out, first_out, self.store);
                    continue;
                }
                let mut row = first_row;
                let (tiles, rest) = out.as_chunks_mut::<TILE_ROWS>();
                for tile in tiles {
                    let outputs = G::tile(kernel, group, self.activations.rows::<TILE_ROWS>(row));
                    write_outputs(&outputs, tile, first_out, self.store);
                    row += TILE_ROWS;
                }
                let (tiles, rest) = rest.as_chunks_mut::<SMALL_TILE_ROWS>();
                for tile in tiles {
                    let outputs = G::tile(kernel, group, self.activations.rows::<SMALL_TILE_ROWS>(row));
                    write_outputs(&outputs, tile, first_out, self.store);
                    row += SMALL_TILE_ROWS;
                }
                for out in rest.chunks_mut(1) {
                    let outputs = G::tile(kernel, group, self.activations.rows::<1>(row));
                    write_outputs(&outputs, out, first_out, self.store);
                    row += 1;
                }
            }
        }
    }
}

/// Writes the outputs of a group; the last group may have more rows than the matrix.
fn write_outputs(
    outputs: &[[f32; GROUP_ROWS]],
    out: &mut [&mut [f32]],
    first_out: usize,
    store: impl Fn(&mut f32, f32) + Copy,
) {
    for (out, outputs) in out.iter_mut().zip(outputs) {
        let out = &mut out[first_out..];
        match out.first_chunk_mut::<GROUP_ROWS>() {
            // With a length that the compiler knows: otherwise it would call a function to copy eight numbers.
            Some(out) => write_row(outputs, out, store),
            None => write_row(outputs, out, store),
        }
    }
}

#[inline(always)]
fn write_row(outputs: &[f32; GROUP_ROWS], out: &mut [f32], store: impl Fn(&mut f32, f32)) {
    for (out, output) in out.iter_mut().zip(outputs) {
        store(out, *output);
    }
}
