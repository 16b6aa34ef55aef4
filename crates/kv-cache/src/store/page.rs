//! One head's keys and values of [`PAGE_TOKENS`] tokens, and the mapping from pages of the stream to stored pages.

use std::ops::Range;

use half::f16;

use super::PAGE_TOKENS;
use crate::Ring;
use crate::kernel::{LANES, TILE};

/// Lanes that are processed together.
const COLUMN: usize = TILE * LANES;

/// The size of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PageShape {
    head_dim: usize,
}

impl PageShape {
    pub(crate) const fn new(head_dim: usize) -> Self {
        Self { head_dim }
    }

    /// Returns the length of a value, rounded up to whole vectors.
    pub(crate) const fn width(self) -> usize {
        self.head_dim.next_multiple_of(LANES)
    }

    const fn key_numbers(self) -> usize {
        self.head_dim * PAGE_TOKENS
    }

    const fn numbers(self) -> usize {
        self.key_numbers() + self.width() * PAGE_TOKENS
    }

    pub(crate) const fn bytes(self) -> usize {
        self.numbers() * size_of::<f16>()
    }
}

/// Keys, followed by values. All are finite.
#[derive(Debug, Clone)]
pub(crate) struct Page(Box<[f16]>);

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

impl Page {
    pub(crate) fn new(shape: PageShape) -> Self {
        Self(vec![f16::ZERO; shape.numbers()].into_boxed_slice())
    }

    pub(crate) fn filled(shape: PageShape, mut number: impl FnMut() -> f32) -> Self {
        Self((0..shape.numbers()).map(|_| f16::from_f32(number())).collect())
    }

    pub(crate) fn write_key(&mut self, shape: PageShape, lane: usize, key: &[f16]) {
        let (column, lane) = (lane / COLUMN, lane % COLUMN);
        let column_size = shape.head_dim * COLUMN;
        let vectors = self.0[column * column_size..][..column_size].chunks_exact_mut(COLUMN);
        for (vector, &number) in vectors.zip(key) {
            vector[lane] = number;
        }
    }

    pub(crate) fn write_value(&mut self, shape: PageShape, lane: usize, value: &[[f16; LANES]]) {
        let (mut rest, mut value) = (&mut self.0[shape.key_numbers()..], value);
        while !value.is_empty() {
            let n_vectors = if value.len() < TILE { 1 } else { TILE };
            let column_lanes = n_vectors * LANES;
            let (vectors, later) = value.split_at(n_vectors);
            let (column, columns) = rest.split_at_mut(column_lanes * PAGE_TOKENS);
            column[lane * column_lanes..][..column_lanes].copy_from_slice(vectors.as_flattened());
            (rest, value) = (columns, later);
        }
    }

    /// Zeroes the lanes from `lane` on, as they are in a new page.
    pub(crate) fn clear_from(&mut self, shape: PageShape, lane: usize) {
        let key = vec![f16::ZERO; shape.head_dim];
        let value = vec![[f16::ZERO; LANES]; shape.width() / LANES];
        for lane in lane..PAGE_TOKENS {
            self.write_key(shape, lane, &key);
            self.write_value(shape, lane, &value);
        }
    }

    /// Appends the content, two bytes per number, little endian.
    pub(crate) fn save(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.resize(start + size_of_val(&*self.0), 0);
        for (bytes, number) in out[start..].chunks_exact_mut(size_of::<f16>()).zip(&self.0) {
            bytes.copy_from_slice(&number.to_le_bytes());
        }
    }

    /// Reads what [`Page::save`] wrote of a page of the same shape.
    pub(crate) fn restore(&mut self, bytes: &[u8]) {
        for (number, bytes) in self.0.iter_mut().zip(bytes.chunks_exact(size_of::<f16>())) {
            *number = f16::from_le_bytes([bytes[0], bytes[1]]);
        }
    }

    pub(crate) fn view(&self, shape: PageShape) -> PageView<'_> {
        let (keys, values) = self.0.split_at(shape.key_numbers());
        PageView { keys, values }
    }
}

/// Maps pages of the stream to indices of stored pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PageRing {
    /// Pages that contain a sink, which are never replaced.
    n_pinned: u64,
    n_rolling: u64,
}

impl PageRing {
    pub(crate) fn new(ring: &Ring) -> Self {
        let page = PAGE_TOKENS as u64;
        let sinks = ring.sink_window().sinks();
        let rolling_slots = ring.capacity_slots() as u64 - sinks;
        Self {
            n_pinned: sinks.div_ceil(page),
            // One more, since neither the ring's oldest nor its newest token need be aligned to a page.
            n_rolling: rolling_slots.div_ceil(page) + 1,
        }
    }

    /// Returns the most pages that are stored.
    pub(crate) fn capacity(self) -> usize {
        to_index(self.n_pinned + self.n_rolling)
    }

    /// Returns the number of pages that a stream of `tokens` tokens has needed.
    pub(crate) fn pages_for(self, tokens: u64) -> usize {
        let pages = tokens.div_ceil(PAGE_TOKENS as u64);
        to_index(pages.min(self.n_pinned + self.n_rolling))
    }

    /// Returns the pages that hold those of the positions `kept` that are still stored, in a stream whose ring starts
    /// at position `oldest`: first the pinned pages, then the rolling ones.
    pub(crate) fn kept_pages(self, kept: Range<u64>, oldest: u64) -> [Range<u64>; 2] {
        let page = PAGE_TOKENS as u64;
        let (first, end) = (kept.start / page, kept.end.div_ceil(page));
        let rolling = first.max(oldest / page).max(self.n_pinned);
        [first..end.min(self.n_pinned), rolling..end]
    }

    /// Returns the index of the stored page with the positions from `page_idx * PAGE_TOKENS` on.
    pub(crate) fn index_of(self, page_idx: u64) -> usize {
        if page_idx < self.n_pinned {
            to_index(page_idx)
        } else {
            to_index(self.n_pinned + (page_idx - self.n_pinned) % self.n_rolling)
        }
    }
}

fn to_index(n: u64) -> usize {
    usize::try_from(n).expect("a ring has at most 2^24 slots")
}
