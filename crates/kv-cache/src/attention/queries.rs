//! Some queries of one key head, rotated for the keys that they meet.

use std::ops::Range;

use super::BLOCK_TOKENS;
use super::span::{Keys, Span, visible_in_page};
use crate::Chunk;
use crate::kernel::{Kernel, PageStep, Partial};
use crate::store::{KvLayer, Layout, PAGE_TOKENS};

/// Queries that aren't rotated yet.
#[derive(Debug)]
pub(super) struct QueryBlock<'a> {
    chunk: &'a Chunk,
    layer: &'a KvLayer,
    kv_head: usize,
    /// Which tokens of the chunk.
    tokens: Range<usize>,
    /// `[tokens of the chunk, row_size]`.
    rows: &'a [f32],
}

/// Queries that are ready for one kind of keys.
pub(super) struct RotatedQueries<'q, 'a> {
    block: &'q QueryBlock<'a>,
    keys: Keys,
    /// `[tokens, group, head_dim]`.
    values: Vec<f32>,
}

impl<'a> QueryBlock<'a> {
    pub(super) fn new(
        chunk: &'a Chunk,
        layer: &'a KvLayer,
        (kv_head, tokens): (usize, Range<usize>),
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

    pub(super) fn layout(&self) -> &'a Layout {
        self.layer.layout()
    }

    pub(super) fn kernel(&self) -> Kernel {
        self.layout().kernel
    }

    /// Products of all queries with one page of keys.
    pub(super) fn page_products(&self) -> usize {
        let heads = self.layout().heads;
        self.tokens.len() * heads.group() * heads.head_dim * PAGE_TOKENS
    }

    /// Sums over no keys.
    pub(super) fn partial(&self) -> Partial {
        let Layout { heads, page, .. } = self.layout();
        Partial::new(self.tokens.len() * heads.group(), page.width())
    }

    /// The queries as those `keys` meet them: the window by distance in the stream, sinks by distance in the cache
    /// (StreamingLLM, arXiv:2309.17453, section 3.2).
    pub(super) fn rotated(&self, keys: Keys) -> RotatedQueries<'_, 'a> {
        let heads = self.layout().heads;
        // Scores are exponents of 2.
        let scale = std::f32::consts::LOG2_E / (heads.head_dim as f32).sqrt();
        let mut values = Vec::with_capacity(self.tokens.len() * heads.group() * heads.head_dim);
        for token in self.tokens.clone() {
            let row = &self.rows[token * heads.row_size()..][heads.queries(self.kv_head)];
            let first = values.len();
            values.extend_from_slice(row);
            for query in values[first..].chunks_exact_mut(heads.head_dim) {
                match keys {
                    Keys::Sinks => self.chunk.rotate_in_cache(token, query),
                    Keys::Window => self.chunk.rotate_in_stream(token, query),
                }
                for number in query {
                    *number *= scale;
                }
            }
        }
        RotatedQueries {
            block: self,
            keys,
            values,
        }
    }
}

impl RotatedQueries<'_, '_> {
    /// Adds the keys and values of a span, page by page.
    pub(super) fn add(&self, span: &Span, partial: &mut Partial) {
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
                *visible = visible_in_page(chunk.sink_window(), self.keys, first + token as u64, page_idx);
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
