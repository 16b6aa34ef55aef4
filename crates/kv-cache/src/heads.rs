//! How a row of queries, keys and values falls into heads.

use std::ops::Range;

/// The heads of one layer.
///
/// A row is `n_heads` queries, then `n_kv_heads` keys, then as many values, of `head_dim` numbers each. Query heads share key
/// heads in runs: head `h` reads key head `h / (n_heads / n_kv_heads)` (grouped queries, arXiv:2305.13245).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadShape {
    /// Query heads, a multiple of `n_kv_heads`.
    pub n_heads: usize,
    /// Heads of keys and of values, at least one.
    pub n_kv_heads: usize,
    /// Numbers a head, even.
    pub head_dim: usize,
}

impl HeadShape {
    /// Query heads that share a key head.
    #[must_use]
    pub const fn group(self) -> usize {
        self.n_heads / self.n_kv_heads
    }

    /// Numbers of a row: queries, keys and values.
    #[must_use]
    pub const fn row_size(self) -> usize {
        (self.n_heads + 2 * self.n_kv_heads) * self.head_dim
    }

    /// Numbers of a row of outputs.
    #[must_use]
    pub const fn out_size(self) -> usize {
        self.n_heads * self.head_dim
    }

    /// Where a row has the queries that share the key head `kv_head`.
    pub(crate) fn queries(self, kv_head: usize) -> Range<usize> {
        let size = self.group() * self.head_dim;
        kv_head * size..(kv_head + 1) * size
    }

    /// Where a row has the key of the head `kv_head`.
    pub(crate) fn key(self, kv_head: usize) -> Range<usize> {
        let first = (self.n_heads + kv_head) * self.head_dim;
        first..first + self.head_dim
    }

    /// Where a row has the value of the head `kv_head`.
    pub(crate) fn value(self, kv_head: usize) -> Range<usize> {
        let first = (self.n_heads + self.n_kv_heads + kv_head) * self.head_dim;
        first..first + self.head_dim
    }
}
