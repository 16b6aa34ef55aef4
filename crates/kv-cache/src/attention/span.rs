//! Defines which keys are summed together, by position alone.

use std::ops::Range;

use crate::layout::PAGE_TOKENS;
use crate::{Chunk, SinkWindow};

/// Pages of a span, which are always added one after the other: 512 tokens. Shorter spans would occupy more threads at
/// a shorter context, and cost more additions of spans.
const SPAN_PAGES: u64 = 8;

/// Tokens per page, as a position.
const PAGE: u64 = PAGE_TOKENS as u64;

/// The two kinds of keys, which meet two differently rotated copies of a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyKind {
    Sinks,
    Window,
}

/// Pages between two multiples of [`SPAN_PAGES`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Span {
    kind: KeyKind,
    pages: Range<u64>,
}

impl Span {
    pub(super) fn kind(&self) -> KeyKind {
        self.kind
    }

    pub(super) fn pages(&self) -> Range<u64> {
        self.pages.clone()
    }

    pub(super) fn n_pages(&self) -> usize {
        self.pages.clone().count()
    }
}

/// Returns the spans that some tokens of a chunk see together, in the order in which they are added.
pub(super) fn spans(chunk: &Chunk, tokens: Range<usize>) -> Vec<Span> {
    let first = chunk.positions().start;
    let (oldest, newest) = (first + tokens.start as u64, first + tokens.end as u64 - 1);
    let mut spans = Vec::new();
    for kind in [KeyKind::Sinks, KeyKind::Window] {
        let from = visible(chunk.sink_window(), kind, oldest).start;
        let to = visible(chunk.sink_window(), kind, newest).end;
        if from >= to {
            continue;
        }
        let (mut page, end) = (from / PAGE, to.div_ceil(PAGE));
        while page < end {
            let next = end.min((page / SPAN_PAGES + 1) * SPAN_PAGES);
            spans.push(Span {
                kind,
                pages: page..next,
            });
            page = next;
        }
    }
    spans
}

/// Returns the lanes of a page that the query at `position` sees.
pub(super) fn visible_in_page(sink_window: SinkWindow, kind: KeyKind, position: u64, page_idx: u64) -> Range<usize> {
    let first = page_idx * PAGE;
    let lane = |position: u64| position.saturating_sub(first).min(PAGE) as usize;
    let visible = visible(sink_window, kind, position);
    lane(visible.start)..lane(visible.end)
}

/// Returns the positions of the keys of one kind that the query at `position` sees. While a query sees everything,
/// sinks are part of the window, so that page 0 isn't read twice.
fn visible(sink_window: SinkWindow, kind: KeyKind, position: u64) -> Range<u64> {
    match (kind, sink_window.sees_everything(position)) {
        (KeyKind::Sinks, true) => 0..0,
        (KeyKind::Sinks, false) => 0..sink_window.sinks(),
        (KeyKind::Window, true) => 0..position + 1,
        (KeyKind::Window, false) => sink_window.first_visible(position)..position + 1,
    }
}
