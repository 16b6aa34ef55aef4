//! Which keys are added up together, by position alone.

use std::ops::Range;

use super::SPAN_PAGES;
use crate::store::PAGE_TOKENS;
use crate::{Chunk, SinkWindow};

/// Tokens of a page.
const PAGE: u64 = PAGE_TOKENS as u64;

/// The two kinds of keys, which meet two differently rotated copies of a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keys {
    Sinks,
    Window,
}

/// Pages between two multiples of [`SPAN_PAGES`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Span {
    keys: Keys,
    pages: Range<u64>,
}

impl Span {
    pub(super) fn keys(&self) -> Keys {
        self.keys
    }

    pub(super) fn pages(&self) -> Range<u64> {
        self.pages.clone()
    }

    pub(super) fn n_pages(&self) -> usize {
        self.pages.clone().count()
    }
}

/// The spans that some tokens of a chunk see together, in the order in which they are added.
pub(super) fn spans(chunk: &Chunk, tokens: Range<usize>) -> Vec<Span> {
    let first = chunk.positions().start;
    let (oldest, newest) = (first + tokens.start as u64, first + tokens.end as u64 - 1);
    let mut spans = Vec::new();
    for keys in [Keys::Sinks, Keys::Window] {
        let from = visible(chunk.sink_window(), keys, oldest).start;
        let to = visible(chunk.sink_window(), keys, newest).end;
        if from >= to {
            continue;
        }
        let (mut page, end) = (from / PAGE, to.div_ceil(PAGE));
        while page < end {
            let next = end.min((page / SPAN_PAGES + 1) * SPAN_PAGES);
            spans.push(Span {
                keys,
                pages: page..next,
            });
            page = next;
        }
    }
    spans
}

/// What the query at `position` sees of a page.
pub(super) fn visible_in_page(sink_window: SinkWindow, keys: Keys, position: u64, page_idx: u64) -> Range<usize> {
    let first = page_idx * PAGE;
    let lane = |position: u64| position.saturating_sub(first).min(PAGE) as usize;
    let visible = visible(sink_window, keys, position);
    lane(visible.start)..lane(visible.end)
}

/// The positions of the keys of a kind that the query at `position` sees. Sinks at their true distance are part of the window:
/// page 0 need not be read twice.
fn visible(sink_window: SinkWindow, keys: Keys, position: u64) -> Range<u64> {
    match (keys, sink_window.sees_everything(position)) {
        (Keys::Sinks, true) => 0..0,
        (Keys::Sinks, false) => 0..sink_window.sinks(),
        (Keys::Window, true) => 0..position + 1,
        (Keys::Window, false) => sink_window.first_visible(position)..position + 1,
    }
}
