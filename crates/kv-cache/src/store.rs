//! Keys and values of one sequence on the CPU, as f16.
//!
//! Tokens are stored in pages of [`PAGE_TOKENS`], aligned to their positions in the stream: position `j` is lane `j mod
//! 64` of page `j / 64`, and attention reads page after page. Pages that contain a sink are never replaced; the others
//! follow each other in a ring, so that an insert overwrites the oldest page and nothing ever moves. Pages are
//! allocated when the stream first reaches them. [`Ring`] defines how far the stream can be rewound; queries never see
//! what a page holds beyond that.

mod page;
mod page_ring;
mod prefix;
mod snapshot;

use half::f16;

use crate::kernel::Kernel;
use crate::layout::{LANES, PAGE_TOKENS, PageShape, PageView};
use crate::{Chunk, HeadShape, Ring};
use page::Page;
use page_ring::PageRing;

/// The keys and values of one sequence in all layers.
#[derive(Debug, Clone)]
pub struct KvStore {
    layout: StoreLayout,
    layers: Vec<KvLayer>,
}

/// The keys and values of one sequence in one layer.
#[derive(Debug, Clone)]
pub struct KvLayer {
    layout: StoreLayout,
    heads: Vec<Vec<Page>>,
}

/// What all layers of a store have in common.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StoreLayout {
    pub(crate) heads: HeadShape,
    pub(crate) page_shape: PageShape,
    pub(crate) page_ring: PageRing,
    pub(crate) kernel: Kernel,
}

impl KvStore {
    /// Creates an empty store for the stream that `ring` tracks.
    ///
    /// # Panics
    /// If there are no heads, or if the number of query heads is not a multiple of the number of key heads.
    #[must_use]
    pub fn new(ring: &Ring, heads: HeadShape, n_layers: usize, kernel: Kernel) -> Self {
        let HeadShape {
            n_heads,
            n_kv_heads,
            head_dim,
        } = heads;
        assert!(
            n_heads > 0 && n_kv_heads > 0 && head_dim > 0 && n_heads % n_kv_heads == 0,
            "{n_heads} query heads of {head_dim} can't share {n_kv_heads} key heads"
        );
        let layout = StoreLayout {
            heads,
            page_shape: PageShape::new(head_dim),
            page_ring: PageRing::new(ring),
            kernel,
        };
        let layer = KvLayer {
            layout,
            heads: vec![Vec::new(); n_kv_heads],
        };
        Self {
            layout,
            layers: vec![layer; n_layers],
        }
    }

    /// Returns one layer.
    ///
    /// # Panics
    /// If there is no such layer.
    #[must_use]
    pub fn layer(&self, layer_idx: usize) -> &KvLayer {
        &self.layers[layer_idx]
    }

    /// Returns one layer for writing.
    ///
    /// # Panics
    /// If there is no such layer.
    pub fn layer_mut(&mut self, layer_idx: usize) -> &mut KvLayer {
        &mut self.layers[layer_idx]
    }

    /// Fills all pages that a stream of `tokens` tokens has reached with numbers, to measure at a long context.
    pub fn fill(&mut self, tokens: u64, mut number: impl FnMut() -> f32) {
        let StoreLayout {
            page_shape, page_ring, ..
        } = self.layout;
        let n_pages = page_ring.pages_for(tokens);
        for head in self.layers.iter_mut().flat_map(|layer| &mut layer.heads) {
            head.clear();
            head.resize_with(n_pages, || Page::filled(page_shape, &mut number));
        }
    }

    /// Returns the bytes of keys and values that are allocated now.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let heads = self.layers.iter().flat_map(|layer| &layer.heads);
        heads.map(Vec::len).sum::<usize>() * self.layout.page_shape.bytes()
    }

    /// Returns the bytes that are allocated once the stream has `tokens` tokens, or now if that is more.
    #[must_use]
    pub fn bytes_at(&self, tokens: u64) -> usize {
        let n_pages = self.layout.page_ring.pages_for(tokens);
        let bytes = n_pages * self.layout.heads.n_kv_heads * self.layers.len() * self.layout.page_shape.bytes();
        bytes.max(self.bytes())
    }

    /// Returns the bytes that are allocated once the stream has filled its ring: a sequence never takes more.
    #[must_use]
    pub fn max_bytes(&self) -> usize {
        self.layout.page_ring.capacity()
            * self.layout.heads.n_kv_heads
            * self.layers.len()
            * self.layout.page_shape.bytes()
    }
}

impl KvLayer {
    /// Writes a chunk's keys, rotated by their positions, and its values, both rounded to f16.
    ///
    /// # Shapes
    /// - `rows`: `[tokens, row_size]` ([`HeadShape`]), not rotated
    ///
    /// # Panics
    /// If `rows` has another shape.
    pub fn write(&mut self, chunk: &Chunk, rows: &[f32]) {
        for writer in self.writers(chunk, rows) {
            writer.run();
        }
    }

    /// Returns the work of [`KvLayer::write`] as one part per key head, to be run in any order or at the same time.
    ///
    /// # Panics
    /// If `rows` has another shape.
    pub fn writers<'a>(&'a mut self, chunk: &'a Chunk, rows: &'a [f32]) -> impl Iterator<Item = KvWriter<'a>> {
        let layout = self.layout;
        let expected = chunk.n_tokens() * layout.heads.row_size();
        assert!(rows.len() == expected, "{} numbers are not {expected}", rows.len());
        self.heads.iter_mut().enumerate().map(move |(kv_head, pages)| KvWriter {
            layout,
            kv_head,
            pages,
            chunk,
            rows,
        })
    }

    pub(crate) fn layout(&self) -> &StoreLayout {
        &self.layout
    }

    /// Returns the page of a head that holds the positions from `page_idx * PAGE_TOKENS` on.
    pub(crate) fn page(&self, kv_head: usize, page_idx: u64) -> PageView<'_> {
        self.heads[kv_head][self.layout.page_ring.index_of(page_idx)].view(self.layout.page_shape)
    }
}

/// The keys and values of a chunk in one head, still to be written.
#[derive(Debug)]
pub struct KvWriter<'a> {
    layout: StoreLayout,
    kv_head: usize,
    pages: &'a mut Vec<Page>,
    chunk: &'a Chunk,
    rows: &'a [f32],
}

impl KvWriter<'_> {
    /// Rotates, rounds and writes them.
    pub fn run(self) {
        let StoreLayout {
            heads,
            page_shape,
            page_ring,
            kernel,
        } = self.layout;
        // Whole vectors; the numbers behind a head stay 0.
        let mut unrounded = vec![[0.0; LANES]; page_shape.width() / LANES];
        let mut rounded = vec![[f16::ZERO; LANES]; page_shape.width() / LANES];
        let rows = self.rows.chunks_exact(heads.row_size());
        for ((token, position), row) in self.chunk.positions().enumerate().zip(rows) {
            let index = page_ring.index_of(position / PAGE_TOKENS as u64);
            if index >= self.pages.len() {
                self.pages.resize_with(index + 1, || Page::new(page_shape));
            }
            let page = &mut self.pages[index];
            let lane = (position % PAGE_TOKENS as u64) as usize;

            let key = &mut unrounded.as_flattened_mut()[..heads.head_dim];
            key.copy_from_slice(&row[heads.key(self.kv_head)]);
            self.chunk.rotate_in_stream(token, key);
            kernel.round(&unrounded, &mut rounded);
            page.write_key(page_shape, lane, &rounded.as_flattened()[..heads.head_dim]);

            let value = &mut unrounded.as_flattened_mut()[..heads.head_dim];
            value.copy_from_slice(&row[heads.value(self.kv_head)]);
            kernel.round(&unrounded, &mut rounded);
            page.write_value(page_shape, lane, &rounded);
        }
    }
}
