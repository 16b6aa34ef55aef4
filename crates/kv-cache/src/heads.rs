//! How a row of queries, keys and values is divided into heads.

use std::ops::Range;

/// The attention heads of one layer.
///
/// A row consists of `n_heads` queries, then `n_kv_heads` keys, then as many values, of `head_dim` numbers each.
/// Consecutive query heads share a key head: head `h` reads key head `h / (n_heads / n_kv_heads)` (grouped-query
/// attention, arXiv:2305.13245).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadShape {
    /// Number of query heads, a multiple of `n_kv_heads`.
    pub n_heads: usize,
    /// Number of key heads and of value heads, at least one.
    pub n_kv_heads: usize,
    /// Numbers per head, even.
    pub head_dim: usize,
}

impl HeadShape {
    /// Returns how many query heads share a key head.
    #[must_use]
    pub const fn group(self) -> usize {
        self.n_heads / self.n_kv_heads
    }

    /// Returns the length of a row: queries, keys and values.
    #[must_use]
    pub const fn row_size(self) -> usize {
        (self.n_heads + 2 * self.n_kv_heads) * self.head_dim
    }

    /// Returns the length of a row of outputs.
    #[must_use]
    pub const fn out_size(self) -> usize {
        self.n_heads * self.head_dim
    }

    /// Returns the range of a row that holds the queries sharing the key head `kv_head`.
    pub(crate) fn queries(self, kv_head: usize) -> Range<usize> {
        let size = self.group() * self.head_dim;
        kv_head * size..(kv_head + 1) * size
    }

    /// Returns the range of a row that holds the key of head `kv_head`.
    pub(crate) fn key(self, kv_head: usize) -> Range<usize> {
        let first = (self.n_heads + kv_head) * self.head_dim;
        first..first + self.head_dim
    }

    /// Returns the range of a row that holds the value of head `kv_head`.
    pub(crate) fn value(self, kv_head: usize) -> Range<usize> {
        let first = (self.n_heads + self.n_kv_heads + kv_head) * self.head_dim;
        first..first + self.head_dim
    }
}
