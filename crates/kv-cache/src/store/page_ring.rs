//! The mapping from pages of the stream to stored pages.
//!
//! The shape of a [`Ring`] and indices of pages in the stream go in, indices of stored pages come out. It never touches
//! the pages.

use std::ops::Range;

use crate::Ring;
use crate::layout::PAGE_TOKENS;

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
