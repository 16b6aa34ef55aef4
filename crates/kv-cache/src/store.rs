//! Keys and values of one sequence on the CPU, in halves.
//!
//! Tokens lie in pages of [`PAGE_TOKENS`], aligned to their positions in the stream: position `j` is lane `j mod 64` of page
//! `j / 64`, and attention reads page after page. Pages that hold a sink stay; the others follow each other in a ring, so that an
//! insert overwrites the oldest page and nothing ever moves. Pages are allocated as the stream first reaches them. [`Ring`]
//! says how far back the stream can go; what is in a page beyond that is hidden from every query.

mod page;
mod prefix;
mod snapshot;

use half::f16;

use crate::kernel::{Kernel, LANES};
use crate::{Chunk, HeadShape, Ring};

pub(crate) use page::{Page, PageRing, PageShape, PageView};

/// Tokens of a page: enough for whole vectors, few enough that a page of keys or values stays in the first cache.
pub const PAGE_TOKENS: usize = 64;

/// The keys and values of one sequence, in all layers.
#[derive(Debug, Clone)]
pub struct KvStore {
    layout: Layout,
    layers: Vec<KvLayer>,
}

/// The keys and values of one sequence in one layer.
#[derive(Debug, Clone)]
pub struct KvLayer {
    layout: Layout,
    heads: Vec<Vec<Page>>,
}

/// What all layers have in common.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layout {
    pub(crate) heads: HeadShape,
    pub(crate) page: PageShape,
    pub(crate) pages: PageRing,
    pub(crate) kernel: Kernel,
}

impl KvStore {
    /// An empty store for a stream that `ring` keeps account of.
    ///
    /// # Panics
    /// If there are no heads, or query heads are not a multiple of key heads.
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
        let layout = Layout {
            heads,
            page: PageShape::new(head_dim),
            pages: PageRing::new(ring),
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

    /// One layer.
    ///
    /// # Panics
    /// If there is no such layer.
    #[must_use]
    pub fn layer(&self, layer_idx: usize) -> &KvLayer {
        &self.layers[layer_idx]
    }

    /// One layer, to write to.
    ///
    /// # Panics
    /// If there is no such layer.
    pub fn layer_mut(&mut self, layer_idx: usize) -> &mut KvLayer {
        &mut self.layers[layer_idx]
    }

    /// Fills all pages that a stream of `tokens` tokens has reached with numbers; for measuring far along a stream.
    pub fn fill(&mut self, tokens: u64, mut number: impl FnMut() -> f32) {
        let Layout { page: shape, pages, .. } = self.layout;
        let reached = pages.reached(tokens);
        for head in self.layers.iter_mut().flat_map(|layer| &mut layer.heads) {
            head.clear();
            head.resize_with(reached, || Page::filled(shape, &mut number));
        }
    }

    /// Bytes of keys and values that are allocated now.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let heads = self.layers.iter().flat_map(|layer| &layer.heads);
        heads.map(Vec::len).sum::<usize>() * self.layout.page.bytes()
    }

    /// Bytes when the stream has `tokens` tokens, or now if it has more.
    #[must_use]
    pub fn bytes_at(&self, tokens: u64) -> usize {
        let reached = self.layout.pages.reached(tokens);
        let bytes = reached * self.layout.heads.n_kv_heads * self.layers.len() * self.layout.page.bytes();
        bytes.max(self.bytes())
    }

    /// Bytes when the stream has filled its ring: a sequence never takes more.
    #[must_use]
    pub fn max_bytes(&self) -> usize {
        self.layout.pages.capacity() * self.layout.heads.n_kv_heads * self.layers.len() * self.layout.page.bytes()
    }
}

impl KvLayer {
    /// Writes a chunk's keys, rotated by their positions, and its values, both rounded to halves.
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

    /// The work of [`KvLayer::write`], one part a key head, in any order or at once.
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

    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The page of a head that holds the positions from `page_idx * PAGE_TOKENS` on.
    pub(crate) fn page(&self, kv_head: usize, page_idx: u64) -> PageView<'_> {
        self.heads[kv_head][self.layout.pages.place(page_idx)].view(self.layout.page)
    }
}

/// The keys and values of a chunk in one head, to be written.
#[derive(Debug)]
pub struct KvWriter<'a> {
    layout: Layout,
    kv_head: usize,
    pages: &'a mut Vec<Page>,
    chunk: &'a Chunk,
    rows: &'a [f32],
}

impl KvWriter<'_> {
    /// Writes them.
    pub fn run(self) {
        let Layout {
            heads,
            page: shape,
            pages: ring,
            kernel,
        } = self.layout;
        // Whole vectors; what is behind a head stays 0.
        let mut floats = vec![[0.0; LANES]; shape.width() / LANES];
        let mut halves = vec![[f16::ZERO; LANES]; shape.width() / LANES];
        let rows = self.rows.chunks_exact(heads.row_size());
        for ((token, position), row) in self.chunk.positions().enumerate().zip(rows) {
            let place = ring.place(position / PAGE_TOKENS as u64);
            if place >= self.pages.len() {
                self.pages.resize_with(place + 1, || Page::new(shape));
            }
            let page = &mut self.pages[place];
            let lane = (position % PAGE_TOKENS as u64) as usize;

            let key = &mut floats.as_flattened_mut()[..heads.head_dim];
            key.copy_from_slice(&row[heads.key(self.kv_head)]);
            self.chunk.rotate_in_stream(token, key);
            kernel.round(&floats, &mut halves);
            page.write_key(shape, lane, &halves.as_flattened()[..heads.head_dim]);

            let value = &mut floats.as_flattened_mut()[..heads.head_dim];
            value.copy_from_slice(&row[heads.value(self.kv_head)]);
            kernel.round(&floats, &mut halves);
            page.write_value(shape, lane, &halves);
        }
    }
}
