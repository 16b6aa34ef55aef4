//! What all layers of a chunk share: positions, what its queries see, and their rotary angles.

use std::ops::Range;

use crate::{RotaryTable, SinkWindow};

/// Consecutive tokens of one stream that go through the model together.
///
/// Created once per chunk and used by every layer, since the angles are computed in f64.
#[derive(Debug, Clone, PartialEq)]
pub struct Chunk {
    sink_window: SinkWindow,
    positions: Range<u64>,
    n_pairs: usize,
    /// Angles by position in the stream.
    stream: Angles,
    /// Angles by position in the cache; `None` if both positions are equal for all tokens.
    cache: Option<Angles>,
}

/// Cosines and sines, `[tokens, n_pairs]` each.
#[derive(Debug, Clone, PartialEq, Default)]
struct Angles {
    cos: Vec<f32>,
    sin: Vec<f32>,
}

impl Chunk {
    /// Creates the chunk of the tokens at `positions` in a stream that follows `sink_window`.
    ///
    /// # Panics
    /// If `positions` is empty.
    #[must_use]
    pub fn new(table: &RotaryTable, sink_window: SinkWindow, positions: Range<u64>) -> Self {
        assert!(!positions.is_empty(), "a chunk has tokens");
        let stream = Angles::new(table, positions.clone());
        // Once a cache position differs from its stream position, all later ones do, so checking the last token is
        // enough.
        let cache = (!sink_window.sees_everything(positions.end - 1)).then(|| {
            let capped = positions.clone().map(|position| sink_window.cache_position(position));
            Angles::new(table, capped)
        });
        Self {
            sink_window,
            positions,
            n_pairs: table.n_pairs(),
            stream,
            cache,
        }
    }

    /// Returns the positions of its tokens in the stream.
    #[must_use]
    pub fn positions(&self) -> Range<u64> {
        self.positions.clone()
    }

    /// Returns the number of its tokens.
    #[must_use]
    pub fn n_tokens(&self) -> usize {
        usize::try_from(self.positions.end - self.positions.start).expect("a chunk is in memory")
    }

    pub(crate) fn sink_window(&self) -> SinkWindow {
        self.sink_window
    }

    /// Rotates a key, or a query for window keys, by its token's position in the stream.
    pub(crate) fn rotate_in_stream(&self, token: usize, head: &mut [f32]) {
        self.stream.rotate(token, self.n_pairs, head);
    }

    /// Rotates a query for sink keys by its token's position in the cache.
    pub(crate) fn rotate_in_cache(&self, token: usize, head: &mut [f32]) {
        let angles = self.cache.as_ref().unwrap_or(&self.stream);
        angles.rotate(token, self.n_pairs, head);
    }
}

impl Angles {
    fn new(table: &RotaryTable, positions: impl Iterator<Item = u64>) -> Self {
        let mut angles = Self::default();
        for position in positions {
            table.extend(position, &mut angles.cos, &mut angles.sin);
        }
        angles
    }

    /// Rotates the pairs `(i, i + n_pairs)` of a head; values behind the pairs are left alone.
    fn rotate(&self, token: usize, n_pairs: usize, head: &mut [f32]) {
        let pairs = token * n_pairs..(token + 1) * n_pairs;
        let (first, second) = head[..2 * n_pairs].split_at_mut(n_pairs);
        let angles = self.cos[pairs.clone()].iter().zip(&self.sin[pairs]);
        for ((a, b), (&cos, &sin)) in first.iter_mut().zip(second).zip(angles) {
            (*a, *b) = (*a * cos - *b * sin, *b * cos + *a * sin);
        }
    }
}
