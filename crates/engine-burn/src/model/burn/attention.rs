//! Attention by burn's operations in f32, over keys and values that are tensors.
//!
//! Keys are stored rotated by their position in the stream. The query is rotated twice: by its own position for the
//! window, where only the distance shows, and by its capped position in the cache for the sinks, so nothing stored is
//! ever rotated again (StreamingLLM, arXiv:2309.17453, section 3.2).

use burn::tensor::{Tensor, activation};

use super::heads::TensorHeads;
use super::plan::{ChunkPlan, QueryBlock, Rotation};
use crate::cache::{LayerKv, TensorKv};

/// A chunk, and where its sequence's keys and values are.
pub(crate) struct TensorChunk<'a> {
    pub(super) plan: ChunkPlan,
    pub(super) kv: &'a mut TensorKv,
}

/// Attends chunk after chunk: `[tokens, (n_heads + 2 * n_kv_heads) * head_dim]` to `[tokens, n_heads * head_dim]`.
pub(super) fn attend_batch(
    qkv: Tensor<2>,
    chunks: &mut [TensorChunk<'_>],
    layer_idx: usize,
    shape: TensorHeads,
) -> Tensor<2> {
    if let [chunk] = chunks {
        return attend(qkv, chunk.kv.layer_mut(layer_idx), &chunk.plan, shape);
    }
    let mut first = 0;
    let attended = chunks.iter_mut().map(|chunk| {
        let rows = first..first + chunk.plan.n_tokens();
        first = rows.end;
        attend(
            qkv.clone().slice_dim(0, rows),
            chunk.kv.layer_mut(layer_idx),
            &chunk.plan,
            shape,
        )
    });
    Tensor::cat(attended.collect(), 0)
}

/// Writes a chunk's keys and values to the cache and lets its queries attend; shapes as in [`attend_batch`].
fn attend(qkv: Tensor<2>, cache: &mut LayerKv, plan: &ChunkPlan, shape: TensorHeads) -> Tensor<2> {
    let (query_size, kv_size) = (shape.0.out_size(), shape.kv_size());
    let plain = qkv.clone().slice_dim(1, 0..query_size + kv_size);
    let values = qkv.slice_dim(1, query_size + kv_size..query_size + 2 * kv_size);
    let rotated = rotate(plain.clone(), &plan.rotation, shape.0.head_dim);
    let keys = rotated.clone().slice_dim(1, query_size..query_size + kv_size);
    cache.write(&plan.insert, &shape.split_keys(keys), &shape.split_values(values));

    let plain = plain.slice_dim(1, 0..query_size);
    let rotated = rotated.slice_dim(1, 0..query_size);
    let attend = |block: &QueryBlock| {
        let queries = Queries {
            plain: rows(&plain, block),
            rotated: rows(&rotated, block),
        };
        attend_block(queries, cache, block, shape)
    };
    match plan.blocks.as_slice() {
        [block] => attend(block),
        blocks => Tensor::cat(blocks.iter().map(attend).collect(), 0),
    }
}

/// Some queries, `[tokens, n_heads * head_dim]` each.
struct Queries {
    /// Not rotated.
    plain: Tensor<2>,
    /// Rotated by position in the stream.
    rotated: Tensor<2>,
}

fn rows(x: &Tensor<2>, block: &QueryBlock) -> Tensor<2> {
    if block.tokens.len() == x.dims()[0] {
        x.clone()
    } else {
        x.clone().slice_dim(0, block.tokens.clone())
    }
}

fn attend_block(queries: Queries, cache: &LayerKv, block: &QueryBlock, shape: TensorHeads) -> Tensor<2> {
    let scale = 1.0 / (shape.0.head_dim as f32).sqrt();
    let tokens = block.tokens.len();
    let window_queries = shape.split_queries(queries.rotated) * scale;
    let sinks = block.sinks.as_ref().map(|(slots, rotation)| {
        let capped = rotate(queries.plain, rotation, shape.0.head_dim);
        (slots.clone(), shape.split_queries(capped) * scale)
    });
    let window = block.window.iter().map(|slots| (slots.clone(), window_queries.clone()));
    let parts: Vec<_> = sinks.into_iter().chain(window).collect();

    let scores = parts
        .iter()
        .map(|(slots, queries)| queries.clone().matmul(cache.keys(slots.clone())));
    let weights = softmax(concat(scores.collect()), block, tokens, shape);
    let slots: Vec<_> = parts.into_iter().map(|(slots, _)| slots).collect();
    shape.join_queries(weighted_values(weights, cache, &slots), tokens)
}

/// Softmax over all keys in view; `[n_kv_heads, group * tokens, keys]` to the same.
fn softmax(scores: Tensor<3>, block: &QueryBlock, tokens: usize, shape: TensorHeads) -> Tensor<3> {
    let [_, _, n_keys] = scores.dims();
    let scores = match &block.mask {
        None => scores,
        Some(mask) => {
            let masked = scores.reshape([shape.0.n_heads, tokens, n_keys]) + mask.clone();
            masked.reshape([shape.0.n_kv_heads, shape.0.group() * tokens, n_keys])
        }
    };
    activation::softmax(scores, 2)
}

/// `[n_kv_heads, group * tokens, keys]` times the values in `slots`, in that order: `[n_kv_heads, group * tokens,
/// head_dim]`.
fn weighted_values(weights: Tensor<3>, cache: &LayerKv, slots: &[std::ops::Range<usize>]) -> Tensor<3> {
    let mut first_key = 0;
    let parts = slots.iter().map(|slots| {
        let part = weights.clone().slice_dim(2, first_key..first_key + slots.len());
        first_key += slots.len();
        part.matmul(cache.values(slots.clone()))
    });
    parts
        .reduce(|sum, part| sum + part)
        .expect("a query sees itself, so there is a part")
}

fn concat(mut parts: Vec<Tensor<3>>) -> Tensor<3> {
    if parts.len() == 1 {
        parts.remove(0)
    } else {
        Tensor::cat(parts, 2)
    }
}

/// Turns every pair of every head: `[tokens, heads * head_dim]` to the same.
fn rotate(x: Tensor<2>, rotation: &Rotation, head_dim: usize) -> Tensor<2> {
    let [tokens, width] = x.dims();
    let turned = x
        .clone()
        .reshape([tokens * width / head_dim, head_dim])
        .matmul(rotation.quarter_turn.clone());
    x * rotation.cos.clone() + turned.reshape([tokens, width]) * rotation.sin.clone()
}
