//! What all layers of a chunk have in common: where its keys go, its rotations, and what each of its queries sees.
//!
//! Worked out once a chunk, on the CPU, and used by every layer.

use std::ops::Range;

use burn::tensor::{Device, Tensor, TensorData};
use kv_cache::{HeadShape, Insert, Ring, RotaryTable, SinkWindow, SlotSpan};

/// Queries whose scores are in memory at once; with 2,560 keys in view they take 12 MB in the default model.
const QUERY_BLOCK: usize = 128;

/// Added to the score of a key that a query doesn't see. Finite, since shaders need not know infinity; its exponential
/// is 0.
const HIDDEN: f32 = -1e30;

/// One chunk's part of the computation that doesn't depend on the layer.
pub(super) struct ChunkPlan {
    pub(super) insert: Insert,
    /// By position in the stream, for every query and key head of every token.
    pub(super) rotation: Rotation,
    pub(super) blocks: Vec<QueryBlock>,
}

/// Angles for a run of tokens and heads.
pub(super) struct Rotation {
    /// `[tokens, heads * head_dim]`.
    pub(super) cos: Tensor<2>,
    /// `[tokens, heads * head_dim]`.
    pub(super) sin: Tensor<2>,
    /// `[head_dim, head_dim]`: turns the pair `(a, b)` into `(-b, a)`. A product with one term a sum, so it is exact.
    pub(super) quarter_turn: Tensor<2>,
}

/// Some queries of the chunk, and what they see.
pub(super) struct QueryBlock {
    /// Which tokens of the chunk.
    pub(super) tokens: Range<usize>,
    /// The sinks' slots, and the rotation of the queries by their position in the cache; when a sink is not at its true
    /// distance.
    pub(super) sinks: Option<(Range<usize>, Rotation)>,
    /// Slots of the window, at most two runs.
    pub(super) window: Vec<Range<usize>>,
    /// `[1, tokens, keys]`, added to the scores; `None` when the only query sees every key.
    pub(super) mask: Option<Tensor<3>>,
}

/// Turns positions into angles on the device.
pub(super) struct Rotator {
    table: RotaryTable,
    heads: HeadShape,
    device: Device,
    quarter_turn: Tensor<2>,
}

impl Rotator {
    pub(super) fn new(table: RotaryTable, heads: HeadShape, device: &Device) -> Self {
        let quarter_turn = quarter_turn(heads.head_dim, device);
        Self {
            table,
            heads,
            device: device.clone(),
            quarter_turn,
        }
    }

    /// Angles of tokens at `positions`, the same for each of `n_heads` heads.
    fn rotation(&self, positions: impl ExactSizeIterator<Item = u64>, n_heads: usize) -> Rotation {
        let (n_tokens, width) = (positions.len(), n_heads * self.heads.head_dim);
        let (mut cos, mut sin) = (
            Vec::with_capacity(n_tokens * width),
            Vec::with_capacity(n_tokens * width),
        );
        let (mut pair_cos, mut pair_sin) = (Vec::new(), Vec::new());
        for position in positions {
            pair_cos.clear();
            pair_sin.clear();
            self.table.extend(position, &mut pair_cos, &mut pair_sin);
            for _half_of_a_head in 0..2 * n_heads {
                cos.extend_from_slice(&pair_cos);
                sin.extend_from_slice(&pair_sin);
            }
        }
        let tensor = |values| Tensor::from_data(TensorData::new(values, [n_tokens, width]), &self.device);
        Rotation {
            cos: tensor(cos),
            sin: tensor(sin),
            quarter_turn: self.quarter_turn.clone(),
        }
    }
}

impl ChunkPlan {
    /// The plan of the chunk that `ring` has just made room for.
    pub(super) fn new(ring: &Ring, insert: Insert, rotator: &Rotator) -> Self {
        let tokens: usize = insert.spans.iter().map(|span| span.slots.len()).sum();
        let first = ring.position() - tokens as u64;
        let n_heads = rotator.heads.n_heads + rotator.heads.n_kv_heads;
        let rotation = rotator.rotation(positions(first, 0..tokens), n_heads);
        let blocks = (0..tokens).step_by(QUERY_BLOCK).map(|from| {
            let tokens = from..tokens.min(from + QUERY_BLOCK);
            QueryBlock::new(ring, first, tokens, rotator)
        });
        Self {
            insert,
            rotation,
            blocks: blocks.collect(),
        }
    }

    /// How many tokens the chunk has.
    pub(super) fn n_tokens(&self) -> usize {
        self.blocks.last().map_or(0, |block| block.tokens.end)
    }
}

impl QueryBlock {
    /// The block of some `tokens` of the chunk that starts at the position `first`.
    fn new(ring: &Ring, first: u64, tokens: Range<usize>, rotator: &Rotator) -> Self {
        let queries = first + tokens.start as u64..first + tokens.end as u64;
        let visible = ring.visible(queries.start, queries.end);
        let sink_window = ring.sink_window();
        let spans: Vec<&SlotSpan> = visible.sinks.iter().chain(&visible.window).collect();
        let mask = (tokens.len() > 1).then(|| mask(sink_window, queries, &spans, &rotator.device));
        let sinks = visible.sinks.map(|span| {
            let capped = positions(first, tokens.clone()).map(|position| sink_window.cache_position(position));
            (span.slots, rotator.rotation(capped, rotator.heads.n_heads))
        });
        let window = visible.window.into_iter().map(|span| span.slots).collect();
        Self {
            tokens,
            sinks,
            window,
            mask,
        }
    }
}

/// The positions of some tokens of the chunk that starts at `first`.
fn positions(first: u64, tokens: Range<usize>) -> impl ExactSizeIterator<Item = u64> {
    tokens.map(move |token| first + token as u64)
}

fn quarter_turn(head_dim: usize, device: &Device) -> Tensor<2> {
    let n_pairs = head_dim / 2;
    let mut values = vec![0.0; head_dim * head_dim];
    for pair in 0..n_pairs {
        values[(pair + n_pairs) * head_dim + pair] = -1.0;
        values[pair * head_dim + pair + n_pairs] = 1.0;
    }
    Tensor::from_data(TensorData::new(values, [head_dim, head_dim]), device)
}

fn mask(sink_window: SinkWindow, queries: Range<u64>, spans: &[&SlotSpan], device: &Device) -> Tensor<3> {
    let n_keys: usize = spans.iter().map(|span| span.slots.len()).sum();
    let mut values = Vec::new();
    for query in queries {
        for span in spans {
            let keys = span.first_position..span.first_position + span.slots.len() as u64;
            values.extend(keys.map(|key| if sink_window.sees(query, key) { 0.0 } else { HIDDEN }));
        }
    }
    let n_queries = values.len() / n_keys;
    Tensor::from_data(TensorData::new(values, [1, n_queries, n_keys]), device)
}
