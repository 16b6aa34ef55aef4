//! Attention of some queries over one page of keys, as one step of an online softmax.
//!
//! A row keeps the largest score so far and sums relative to it, which are scaled down when a larger score is found
//! (online softmax: Milakov and Gimelshein, arXiv:1805.02867; with values: FlashAttention, arXiv:2205.14135). Powers
//! are of two; the queries are scaled by log2(e) for that. The operations on a row are the same in every tile, and a
//! page of which a row sees nothing changes nothing.

use std::ops::Range;

use half::f16;

use super::lanes::{Simd, exp2};
use crate::layout::{COLUMN, LANES, PAGE_TOKENS, PageView, TILE};

/// Vectors of scores for one page.
const PAGE_VECTORS: usize = PAGE_TOKENS / LANES;

/// The input of one step: some queries and the page that they read.
#[derive(Debug)]
pub(crate) struct PageStep<'a> {
    /// The page to read.
    pub(crate) page: PageView<'a>,
    /// The page that is read next, or the same page again; it is prefetched meanwhile.
    pub(crate) next: PageView<'a>,
    /// `[rows, head_dim]`; there are `group` rows per token.
    pub(crate) queries: &'a [f32],
    /// The lanes of the page that each token sees.
    pub(crate) visible: &'a [Range<usize>],
    /// Query heads that share the key head.
    pub(crate) group: usize,
    /// Numbers per query, at least 1.
    pub(crate) head_dim: usize,
}

/// Sums over some of the keys.
#[derive(Debug, Clone)]
pub(crate) struct PartialSums {
    width: usize,
    rows: Vec<RowSums>,
    /// Sums of the weighted values, `[rows, width]`.
    values: Vec<f32>,
}

/// The reference score of a row's weights, and their sum.
#[derive(Debug, Clone, Copy)]
struct RowSums {
    /// The largest score so far.
    max: f32,
    /// Sums of the weights, one per lane of a vector.
    weights: [f32; LANES],
}

impl RowSums {
    /// The state before any key. The maximum is the least number rather than minus infinity, whose difference with
    /// itself would be NaN.
    const EMPTY: Self = Self {
        max: f32::MIN,
        weights: [0.0; LANES],
    };
}

impl PartialSums {
    /// Creates sums over no keys; `width` is the head size rounded up to whole vectors.
    pub(crate) fn new(rows: usize, width: usize) -> Self {
        Self {
            width,
            rows: vec![RowSums::EMPTY; rows],
            values: vec![0.0; rows * width],
        }
    }

    /// Resets to sums over no keys.
    pub(crate) fn clear(&mut self) {
        self.rows.fill(RowSums::EMPTY);
        self.values.fill(0.0);
    }

    /// Writes the weighted means of consecutive rows.
    pub(crate) fn write(&self, first_row: usize, head_dim: usize, out: &mut [f32]) {
        for (row, out) in (first_row..).zip(out.chunks_exact_mut(head_dim)) {
            let scale = 1.0 / self.rows[row].weights.iter().sum::<f32>();
            let values = &self.values[row * self.width..][..head_dim];
            for (out, value) in out.iter_mut().zip(values) {
                // A key that isn't visible may have turned -0 into 0; adding 0 maps both to 0.
                *out = value * scale + 0.0;
            }
        }
    }
}

/// The weights of one page's tokens for `R` rows.
struct TileWeights<S: Simd, const R: usize> {
    /// The tokens of the page that at least one of the rows sees.
    seen: Range<usize>,
    /// The rows' scores, then their weights.
    weights: [[[f32; LANES]; PAGE_VECTORS]; R],
    /// The factors that rescale the rows' earlier sums.
    scales: [S::Lanes; R],
}

/// Adds the page to the sums of every row.
#[inline(always)]
pub(super) fn add_page<S: Simd>(simd: S, step: &PageStep<'_>, partial: &mut PartialSums) {
    let n_rows = step.visible.len() * step.group;
    let mut row = 0;
    while row < n_rows {
        let tile = match n_rows - row {
            left @ 1..=4 => left,
            5 => 3,
            7 | 8 => 4,
            _ => 6,
        };
        match tile {
            1 => add_page_to_rows::<S, 1>(simd, step, row, partial),
            2 => add_page_to_rows::<S, 2>(simd, step, row, partial),
            3 => add_page_to_rows::<S, 3>(simd, step, row, partial),
            4 => add_page_to_rows::<S, 4>(simd, step, row, partial),
            _ => add_page_to_rows::<S, 6>(simd, step, row, partial),
        }
        row += tile;
    }
}

/// Adds the page to the sums of `R` rows.
#[inline(always)]
fn add_page_to_rows<S: Simd, const R: usize>(
    simd: S,
    step: &PageStep<'_>,
    first_row: usize,
    partial: &mut PartialSums,
) {
    let (mut from, mut to) = (PAGE_TOKENS, 0);
    for row in first_row..first_row + R {
        let visible = &step.visible[row / step.group];
        if visible.start < visible.end {
            from = from.min(visible.start);
            to = to.max(visible.end);
        }
    }
    if from >= to {
        return;
    }
    let mut tile = TileWeights {
        seen: from..to,
        weights: [[[0.0; LANES]; PAGE_VECTORS]; R],
        scales: [simd.splat(0.0); R],
    };
    score(simd, step, first_row, &tile.seen, &mut tile.weights);
    for r in 0..R {
        let row = first_row + r;
        let visible = &step.visible[row / step.group];
        mask(simd, &mut tile.weights[r], visible);
        tile.scales[r] = to_weights(simd, &mut tile.weights[r], &mut partial.rows[row]);
    }
    let width = partial.width;
    let sums = &mut partial.values[first_row * width..][..R * width];
    let mut first = 0;
    let n_vectors = width / LANES;
    while first + TILE <= n_vectors {
        add_values::<S, R, TILE>(simd, step, &tile, first, &mut *sums);
        first += TILE;
    }
    while first < n_vectors {
        add_values::<S, R, 1>(simd, step, &tile, first, &mut *sums);
        first += 1;
    }
}

/// Computes the scores of `R` queries, each a sum over the head in its order. Columns outside `seen` are skipped.
#[inline(always)]
fn score<S: Simd, const R: usize>(
    simd: S,
    step: &PageStep<'_>,
    first_row: usize,
    seen: &Range<usize>,
    scores: &mut [[[f32; LANES]; PAGE_VECTORS]; R],
) {
    let head_dim = step.head_dim;
    let mut queries: [&[f32]; R] = [&[]; R];
    for (r, query) in queries.iter_mut().enumerate() {
        *query = &step.queries[(first_row + r) * head_dim..][..head_dim];
    }
    let mut column = seen.start / COLUMN;
    while column * COLUMN < seen.end {
        let (keys, _) = column_of(step.page.keys, column, head_dim).as_chunks::<LANES>();
        let (keys, _) = keys.as_chunks::<TILE>();
        let (next, _) = column_of(step.next.keys, column, head_dim).as_chunks::<COLUMN>();
        let (keys, next) = (&keys[..head_dim], &next[..head_dim]);
        let mut sums = [[simd.splat(0.0); TILE]; R];
        for i in 0..head_dim {
            simd.prefetch(&next[i]);
            let mut number = [simd.splat(0.0); TILE];
            for v in 0..TILE {
                number[v] = simd.load_f16(&keys[i][v]);
            }
            // Row by row: all rows' operands at once would need more registers than there are.
            for r in 0..R {
                let query = simd.splat(queries[r][i]);
                for v in 0..TILE {
                    sums[r][v] = simd.fma(query, number[v], sums[r][v]);
                }
            }
        }
        for r in 0..R {
            for v in 0..TILE {
                simd.store(sums[r][v], &mut scores[r][column * TILE + v]);
            }
        }
        column += 1;
    }
}

/// Returns a column of keys, `[head_dim, COLUMN]`.
#[inline(always)]
fn column_of(keys: &[f16], column: usize, head_dim: usize) -> &[f16] {
    let size = head_dim * COLUMN;
    &keys[column * size..][..size]
}

/// Sets the scores of keys that aren't visible to minus infinity, whose power is 0.
#[inline(always)]
fn mask<S: Simd>(simd: S, scores: &mut [[f32; LANES]; PAGE_VECTORS], visible: &Range<usize>) {
    if visible.start == 0 && visible.end == PAGE_TOKENS {
        return;
    }
    let hidden = simd.splat(f32::NEG_INFINITY);
    let (mut from, mut to) = (visible.start as i32, visible.end as i32);
    for scores in scores {
        let masked = simd.select_range(simd.load(scores), from, to, hidden);
        simd.store(masked, scores);
        from -= LANES as i32;
        to -= LANES as i32;
    }
}

/// Turns scores into weights relative to the largest score so far, adds them up, and returns the factor that rescales
/// the earlier sums.
#[inline(always)]
fn to_weights<S: Simd>(simd: S, scores: &mut [[f32; LANES]; PAGE_VECTORS], row: &mut RowSums) -> S::Lanes {
    let before = row.max;
    let mut largest = simd.splat(before);
    for scores in scores.iter() {
        largest = simd.max(simd.load(scores), largest);
    }
    let mut lanes = [0.0; LANES];
    simd.store(largest, &mut lanes);
    let mut after = before;
    for lane in lanes {
        // Without a branch, since it couldn't be predicted.
        after = if lane > after { lane } else { after };
    }
    row.max = after;
    let largest = simd.splat(after);
    let scale = exp2(simd, simd.sub(simd.splat(before), largest));
    let mut sum = simd.mul(simd.load(&row.weights), scale);
    for scores in scores {
        let weights = exp2(simd, simd.sub(simd.load(scores), largest));
        simd.store(weights, scores);
        sum = simd.add(sum, weights);
    }
    simd.store(sum, &mut row.weights);
    scale
}

/// Adds the weighted values of the visible tokens to `V` vectors from vector `first` on of each of `R` rows of `sums`,
/// in the order of the tokens.
#[inline(always)]
fn add_values<S: Simd, const R: usize, const V: usize>(
    simd: S,
    step: &PageStep<'_>,
    tile: &TileWeights<S, R>,
    first: usize,
    sums: &mut [f32],
) {
    let width = sums.len() / R;
    let mut tile_sums = [[simd.splat(0.0); V]; R];
    for r in 0..R {
        let (row, _) = sums[r * width..][..width].as_chunks::<LANES>();
        for v in 0..V {
            tile_sums[r][v] = simd.mul(simd.load(&row[first + v]), tile.scales[r]);
        }
    }
    let column = first * LANES * PAGE_TOKENS..(first + V) * LANES * PAGE_TOKENS;
    let rows = tokens_of::<V>(&step.page.values[column.clone()], &tile.seen);
    let next = tokens_of::<V>(&step.next.values[column], &tile.seen);
    let mut row_weights: [&[f32]; R] = [&[]; R];
    for (row_weights, weights) in row_weights.iter_mut().zip(&tile.weights) {
        *row_weights = &weights.as_flattened()[tile.seen.clone()][..rows.len()];
    }
    // Indexing slices of equal length: iterators would cost as many comparisons per token as it has sums.
    let next = &next[..rows.len()];
    for token in 0..rows.len() {
        simd.prefetch(&next[token][0]);
        let mut values = [simd.splat(0.0); V];
        for v in 0..V {
            values[v] = simd.load_f16(&rows[token][v]);
        }
        for r in 0..R {
            let weight = simd.splat(row_weights[r][token]);
            for v in 0..V {
                tile_sums[r][v] = simd.fma(weight, values[v], tile_sums[r][v]);
            }
        }
    }
    for r in 0..R {
        let (row, _) = sums[r * width..][..width].as_chunks_mut::<LANES>();
        for v in 0..V {
            simd.store(tile_sums[r][v], &mut row[first + v]);
        }
    }
}

/// Returns some tokens' rows of a column of values, `[PAGE_TOKENS, V * LANES]`.
#[inline(always)]
fn tokens_of<'a, const V: usize>(column: &'a [f16], seen: &Range<usize>) -> &'a [[[f16; LANES]; V]] {
    let (vectors, _) = column.as_chunks::<LANES>();
    let (tokens, _) = vectors.as_chunks::<V>();
    &tokens[seen.clone()]
}

/// Adds the sums over later keys to those over earlier ones, row by row.
#[inline(always)]
pub(super) fn merge<S: Simd>(simd: S, total: &mut PartialSums, part: &PartialSums) {
    let width = total.width;
    for (row, (sums, part_sums)) in total.rows.iter_mut().zip(&part.rows).enumerate() {
        let before = sums.max;
        let max = if part_sums.max > before { part_sums.max } else { before };
        let largest = simd.splat(max);
        let old = exp2(simd, simd.sub(simd.splat(before), largest));
        let new = exp2(simd, simd.sub(simd.splat(part_sums.max), largest));
        sums.max = max;
        add_scaled(simd, &mut sums.weights, &part_sums.weights, old, new);
        let (totals, _) = total.values[row * width..][..width].as_chunks_mut::<LANES>();
        let (parts, _) = part.values[row * width..][..width].as_chunks::<LANES>();
        for (total, part) in totals.iter_mut().zip(parts) {
            add_scaled(simd, total, part, old, new);
        }
    }
}

/// Computes `total * old + part * new`.
#[inline(always)]
fn add_scaled<S: Simd>(simd: S, total: &mut [f32; LANES], part: &[f32; LANES], old: S::Lanes, new: S::Lanes) {
    let scaled = simd.mul(simd.load(total), old);
    simd.store(simd.fma(simd.load(part), new, scaled), total);
}
