//! The layout of keys and values in memory, on which the store and the kernels agree.
//!
//! The store writes pages in this layout, and kernels read them. It never allocates or computes anything.

use half::f16;

/// Numbers that are processed together, also on a processor with narrower registers.
pub(crate) const LANES: usize = 8;

/// Vectors that are summed together: with six rows and the loaded operands they fill 15 of 16 registers. Pages are
/// stored in columns of this many vectors.
pub(crate) const TILE: usize = 2;

/// Lanes of a column.
pub(crate) const COLUMN: usize = TILE * LANES;

/// Tokens per page: enough for whole vectors, few enough that a page of keys or values fits into the first-level cache.
pub const PAGE_TOKENS: usize = 64;

/// The size of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PageShape {
    head_dim: usize,
}

impl PageShape {
    /// Returns the shape of pages for heads of `head_dim` numbers.
    pub(crate) const fn new(head_dim: usize) -> Self {
        Self { head_dim }
    }

    /// Returns the length of a key.
    pub(crate) const fn head_dim(self) -> usize {
        self.head_dim
    }

    /// Returns the length of a value, rounded up to whole vectors.
    pub(crate) const fn width(self) -> usize {
        self.head_dim.next_multiple_of(LANES)
    }

    /// Returns how many numbers of a page are keys.
    pub(crate) const fn key_numbers(self) -> usize {
        self.head_dim * PAGE_TOKENS
    }

    /// Returns how many numbers a page has.
    pub(crate) const fn numbers(self) -> usize {
        self.key_numbers() + self.width() * PAGE_TOKENS
    }

    /// Returns the size of a page in memory.
    pub(crate) const fn bytes(self) -> usize {
        self.numbers() * size_of::<f16>()
    }
}

/// The content of a page, in columns that are read sequentially.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PageView<'a> {
    /// `[PAGE_TOKENS / COLUMN, head_dim, COLUMN]`: a vector holds one dimension of several keys, so that a score needs
    /// no sum across lanes.
    pub(crate) keys: &'a [f16],
    /// `[width / COLUMN, PAGE_TOKENS, COLUMN]`: a vector holds a part of one value. The remainder of the width is in
    /// columns of one vector each.
    pub(crate) values: &'a [f16],
}
