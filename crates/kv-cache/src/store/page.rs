//! One head's keys and values of [`PAGE_TOKENS`] tokens, and which page is where.

use std::ops::Range;

use half::f16;

use super::PAGE_TOKENS;
use crate::Ring;
use crate::kernel::{LANES, TILE};

/// Lanes that are computed with at once.
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

    /// Numbers of a value, rounded up to whole vectors.
    pub(crate) const fn width(self) -> usize {
        self.head_dim.next_multiple_of(LANES)
    }

    const fn keys(self) -> usize {
        self.head_dim * PAGE_TOKENS
    }

    const fn halves(self) -> usize {
        self.keys() + self.width() * PAGE_TOKENS
    }

    pub(crate) const fn bytes(self) -> usize {
        self.halves() * size_of::<f16>()
    }
}

/// Keys, and behind them values. All are finite.
#[derive(Debug, Clone)]
pub(crate) struct Page(Box<[f16]>);

/// What a page holds, in columns that are read from their beginning to their end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PageView<'a> {
    /// `[PAGE_TOKENS / COLUMN, head_dim, COLUMN]`: a vector is one number of several keys, so that a score needs no sum across lanes.
    pub(crate) keys: &'a [f16],
    /// `[width / COLUMN, PAGE_TOKENS, COLUMN]`: a vector is a part of one value. What is left of the width is in columns of one
    /// vector each.
    pub(crate) values: &'a [f16],
}

impl Page {
    pub(crate) fn new(shape: PageShape) -> Self {
        Self(vec![f16::ZERO; shape.halves()].into_boxed_slice())
    }

    pub(crate) fn filled(shape: PageShape, mut number: impl FnMut() -> f32) -> Self {
        Self((0..shape.halves()).map(|_| f16::from_f32(number())).collect())
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
        let (mut rest, mut value) = (&mut self.0[shape.keys()..], value);
        while !value.is_empty() {
            let n_vectors = if value.len() < TILE { 1 } else { TILE };
            let column_lanes = n_vectors * LANES;
            let (vectors, later) = value.split_at(n_vectors);
            let (column, columns) = rest.split_at_mut(column_lanes * PAGE_TOKENS);
            column[lane * column_lanes..][..column_lanes].copy_from_slice(vectors.as_flattened());
            (rest, value) = (columns, later);
        }
    }

    /// Makes the lanes from `lane` on zeros, as they are in a new page.
    pub(crate) fn clear_from(&mut self, shape: PageShape, lane: usize) {
        let key = vec![f16::ZERO; shape.head_dim];
        let value = vec![[f16::ZERO; LANES]; shape.width() / LANES];
        for lane in lane..PAGE_TOKENS {
            self.write_key(shape, lane, &key);
            self.write_value(shape, lane, &value);
        }
    }

    /// Appends what it holds, two bytes a number, little endian.
    pub(crate) fn save(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.resize(start + size_of_val(&*self.0), 0);
        for (bytes, number) in out[start..].chunks_exact_mut(size_of::<f16>()).zip(&self.0) {
            bytes.copy_from_slice(&number.to_le_bytes());
        }
    }

    /// Takes over what [`Page::save`] wrote of a page of the same shape.
    pub(crate) fn restore(&mut self, bytes: &[u8]) {
        for (number, bytes) in self.0.iter_mut().zip(bytes.chunks_exact(size_of::<f16>())) {
            *number = f16::from_le_bytes([bytes[0], bytes[1]]);
        }
    }

    pub(crate) fn view(&self, shape: PageShape) -> PageView<'_> {
        let (keys, values) = self.0.split_at(shape.keys());
        PageView { keys, values }
    }
}

/// Which page of the stream is kept in which place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PageRing {
    /// Pages with a sink; they stay where they are.
    n_fixed: u64,
    n_rolling: u64,
}

impl PageRing {
    pub(crate) fn new(ring: &Ring) -> Self {
        let page = PAGE_TOKENS as u64;
        let sinks = ring.sink_window().sinks();
        let rolling_slots = ring.capacity_slots() as u64 - sinks;
        Self {
            n_fixed: sinks.div_ceil(page),
            // The ring's oldest and its newest token need not begin a page.
            n_rolling: rolling_slots.div_ceil(page) + 1,
        }
    }

    /// The most places.
    pub(crate) fn capacity(self) -> usize {
        to_place(self.n_fixed + self.n_rolling)
    }

    /// Places that a stream of `tokens` tokens has needed.
    pub(crate) fn reached(self, tokens: u64) -> usize {
        let pages = tokens.div_ceil(PAGE_TOKENS as u64);
        to_place(pages.min(self.n_fixed + self.n_rolling))
    }

    /// The pages that hold what is kept of the positions `kept` of a stream whose ring begins with position `oldest`: those
    /// that stay, and those that roll.
    pub(crate) fn pages(self, kept: Range<u64>, oldest: u64) -> [Range<u64>; 2] {
        let page = PAGE_TOKENS as u64;
        let (first, end) = (kept.start / page, kept.end.div_ceil(page));
        let rolling = first.max(oldest / page).max(self.n_fixed);
        [first..end.min(self.n_fixed), rolling..end]
    }

    /// The place of the page with the positions from `page_idx * PAGE_TOKENS` on.
    pub(crate) fn place(self, page_idx: u64) -> usize {
        if page_idx < self.n_fixed {
            to_place(page_idx)
        } else {
            to_place(self.n_fixed + (page_idx - self.n_fixed) % self.n_rolling)
        }
    }
}

fn to_place(n: u64) -> usize {
    usize::try_from(n).expect("a ring has at most 2^24 slots")
}
