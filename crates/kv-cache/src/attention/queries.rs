//! Some queries of one key head, rotated for the keys that they meet.

use std::ops::Range;

use super::span::{KeyKind, Span, visible_in_page};
use crate::Chunk;
use crate::kernel::{Kernel, PageStep, PartialSums};
use crate::layout::PAGE_TOKENS;
use crate::store::{KvLayer, StoreLayout};

/// Queries of a block: their sums, with those of the other heads of the group, fit into the second-level cache beside a
/// page.
pub(super) const BLOCK_TOKENS: usize = 16;

/// Queries that are not rotated yet.
#[derive(Debug)]
pub(super) struct QueryBlock<'a> {
    chunk: &'a Chunk,
    layer: &'a KvLayer,
    kv_head: usize,
    /// Indices of the queries' tokens in the chunk.
    tokens: Range<usize>,
    /// `[tokens of the chunk, row_size]`.
    rows: &'a [f32],
}

/// Queries rotated and scaled for one kind of keys.
pub(super) struct RotatedQueries<'q, 'a> {
    block: &'q QueryBlock<'a>,
    kind: KeyKind,
    /// `[tokens, group, head_dim]`.
    values: Vec<f32>,
}

impl<'a> QueryBlock<'a> {
    pub(super) fn new(
        chunk: &'a Chunk,
        layer: &'a KvLayer,
        kv_head: usize,
        tokens: Range<usize>,
        rows: &'a [f32],
    ) -> Self {
        Self {
            chunk,
            layer,
            kv_head,
            tokens,
            rows,
        }
    }

    pub(super) fn layout(&self) -> &'a StoreLayout {
        self.layer.layout()
    }

    pub(super) fn kernel(&self) -> Kernel {
        self.layout().kernel
    }

    /// Returns the number of multiplications of all queries with one page of keys.
    pub(super) fn page_products(&self) -> usize {
        let heads = self.layout().heads;
        self.tokens.len() * heads.group() * heads.head_dim * PAGE_TOKENS
    }

    /// Creates sums over no keys.
    pub(super) fn empty_sums(&self) -> PartialSums {
        let StoreLayout { heads, page_shape, .. } = self.layout();
        PartialSums::new(self.tokens.len() * heads.group(), page_shape.width())
    }

    /// Rotates the queries for the keys of one kind: by distance in the stream for window keys, by distance in the
    /// cache for sink keys (StreamingLLM, arXiv:2309.17453, section 3.2).
    pub(super) fn rotated(&self, kind: KeyKind) -> RotatedQueries<'_, 'a> {
        let heads = self.layout().heads;
        // Includes log2(e), since the softmax uses powers of 2.
        let scale = std::f32::consts::LOG2_E / (heads.head_dim as f32).sqrt();
        let mut values = Vec::with_capacity(self.tokens.len() * heads.group() * heads.head_dim);
        for token in self.tokens.clone() {
            let row = &self.rows[token * heads.row_size()..][heads.queries(self.kv_head)];
            let first = values.len();
            values.extend_from_slice(row);
            for query in values[first..].chunks_exact_mut(heads.head_dim) {
                match kind {
                    KeyKind::Sinks => self.chunk.rotate_in_cache(token, query),
                    KeyKind::Window => self.chunk.rotate_in_stream(token, query),
                }
                for number in query {
                    *number *= scale;
                }
            }
        }
        RotatedQueries {
            block: self,
            kind,
            values,
        }
    }
}

impl RotatedQueries<'_, '_> {
    /// Adds the keys and values of a span to `partial`, page by page.
    pub(super) fn add(&self, span: &Span, partial: &mut PartialSums) {
        let QueryBlock {
            chunk,
            layer,
            kv_head,
            ref tokens,
            ..
        } = *self.block;
        let heads = layer.layout().heads;
        let first = chunk.positions().start;
        let mut visible: [Range<usize>; BLOCK_TOKENS] = std::array::from_fn(|_| 0..0);
        let visible = &mut visible[..tokens.len()];
        for page_idx in span.pages() {
            for (visible, token) in visible.iter_mut().zip(tokens.clone()) {
                *visible = visible_in_page(chunk.sink_window(), self.kind, first + token as u64, page_idx);
            }
            let next_idx = (page_idx + 1).min(span.pages().end - 1);
            let step = PageStep {
                page: layer.page(kv_head, page_idx),
                next: layer.page(kv_head, next_idx),
                queries: &self.values,
                visible,
                group: heads.group(),
                head_dim: heads.head_dim,
            };
            self.block.kernel().add_page(&step, partial);
        }
    }
}
