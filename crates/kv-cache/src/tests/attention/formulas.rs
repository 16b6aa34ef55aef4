//! Tests against attention in f64, key by key, over the list that the paper's code keeps.

use half::f16;
use proptest::{prelude::*, test_runner::RngSeed};

use super::super::naive;
use super::{BASE, Case, Run, heads};
use crate::{Chunk, Kernel, SinkWindow};

/// How far f32 sums may be off, for values up to 1.
const TOLERANCE_SUMS: f64 = 5e-6;

/// How far rounding keys and values to f16 may be off, for values up to 1.
const TOLERANCE_F16: f64 = 4e-3;

/// Which keys the formula uses.
#[derive(Debug, Clone, Copy)]
enum NaiveKeys {
    /// As in the paper: each key rotated by its position in the cache.
    Paper,
    /// As stored: rotated by position in the stream and rounded to f16.
    Stored,
}

/// Computes the outputs of every `every`th token, `[tokens, out_size]`.
fn naive_outputs(case: &Case, keys: NaiveKeys, every: usize) -> Vec<f64> {
    let heads = case.heads;
    let seen = naive::stream(case.policy.sinks(), case.policy.window(), case.n_tokens() as u64);
    let mut outputs = Vec::new();
    for (position, seen) in seen.iter().enumerate().step_by(every) {
        for head in 0..heads.n_heads {
            let query = numbers(case, position, head * heads.head_dim);
            let key_head = heads.n_heads + head / heads.group();
            let scored: Vec<(f64, Vec<f64>)> = seen
                .keys
                .iter()
                .map(|&(key_position, cache_position)| {
                    let key_position = key_position as usize;
                    let value = numbers(case, key_position, (key_head + heads.n_kv_heads) * heads.head_dim);
                    let (query_angle, key, value) = match keys {
                        NaiveKeys::Paper => {
                            let key = numbers(case, key_position, key_head * heads.head_dim);
                            (seen.cache_position, rotated(&key, cache_position), value)
                        }
                        NaiveKeys::Stored => {
                            let is_sink = (key_position as u64) < case.policy.sinks();
                            let angle = if is_sink { seen.cache_position } else { position as u64 };
                            let value = value.iter().map(|&x| f16::from_f64(x).to_f64()).collect();
                            (angle, stored_key(case, key_position, key_head), value)
                        }
                    };
                    let query = rotated(&query, query_angle);
                    let product: f64 = query.iter().zip(&key).map(|(q, k)| q * k).sum();
                    (product / (heads.head_dim as f64).sqrt(), value)
                })
                .collect();
            outputs.extend(weighted_mean(&scored));
        }
    }
    outputs
}

fn weighted_mean(scored: &[(f64, Vec<f64>)]) -> Vec<f64> {
    let sum: f64 = scored.iter().map(|(score, _)| score.exp()).sum();
    let mut mean = vec![0.0; scored[0].1.len()];
    for (score, value) in scored {
        for (mean, x) in mean.iter_mut().zip(value) {
            *mean += score.exp() / sum * x;
        }
    }
    mean
}

/// Returns a head of a row, in f64.
fn numbers(case: &Case, position: usize, first: usize) -> Vec<f64> {
    let row = &case.rows[position * case.heads.row_size()..][first..first + case.heads.head_dim];
    row.iter().copied().map(f64::from).collect()
}

fn rotated(head: &[f64], position: u64) -> Vec<f64> {
    let n_pairs = head.len() / 2;
    let mut out = head.to_vec();
    for pair in 0..n_pairs {
        let (sin, cos) = (position as f64 * BASE.powf(-(pair as f64) / n_pairs as f64)).sin_cos();
        let (a, b) = (head[pair], head[pair + n_pairs]);
        out[pair] = a * cos - b * sin;
        out[pair + n_pairs] = b * cos + a * sin;
    }
    out
}

fn stored_key(case: &Case, position: usize, key_head: usize) -> Vec<f64> {
    let chunk = Chunk::new(&case.table(), case.policy, position as u64..position as u64 + 1);
    let size = case.heads.head_dim;
    let mut key = case.rows_of(&chunk)[key_head * size..(key_head + 1) * size].to_vec();
    chunk.rotate_in_stream(0, &mut key);
    key.iter().map(|&x| f16::from_f32(x).to_f64()).collect()
}

#[track_caller]
fn check_formulas(case: &Case, chunks: &[usize], every: usize) {
    let outputs = case.outputs(Run::on_one_thread(chunks, Kernel::detect()));
    let rows = outputs.chunks_exact(case.heads.out_size()).step_by(every);
    let outputs: Vec<f32> = rows.flatten().copied().collect();
    for (keys, tolerance) in [(NaiveKeys::Stored, TOLERANCE_SUMS), (NaiveKeys::Paper, TOLERANCE_F16)] {
        let expected = naive_outputs(case, keys, every);
        assert_eq!(outputs.len(), expected.len());
        for (i, (&got, &expected)) in outputs.iter().zip(&expected).enumerate() {
            assert!(
                (f64::from(got) - expected).abs() <= tolerance,
                "{keys:?}: output {i} is {got} and not {expected}"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() })]

    #[test]
    fn any_stream_matches_the_formulas(
        (n_kv_heads, group, pairs) in (1_usize..3, 1_usize..5, 1_usize..21),
        (sinks, window) in (0_u64..80, 0_u64..90),
        chunks in prop::collection::vec(1_usize..70, 1..4),
        (n_tokens, seed) in (1_usize..260, any::<u64>()),
    ) {
        let heads = heads(n_kv_heads * group, n_kv_heads, 2 * pairs);
        let case = Case::random(heads, SinkWindow::new(sinks, window), n_tokens, seed);
        check_formulas(&case, &chunks, 3);
    }
}

#[test]
fn a_context_of_many_spans_matches_the_formulas() {
    let case = Case::random(heads(3, 1, 8), SinkWindow::new(530, 1_100), 2_000, 2);
    check_formulas(&case, &[512], 61);
}

#[test]
fn scores_far_apart_match_the_formulas() {
    let mut case = Case::random(heads(2, 1, 16), SinkWindow::new(3, 100), 150, 3);
    let row_size = case.heads.row_size();
    for query in case.rows.chunks_exact_mut(row_size) {
        for number in &mut query[..32] {
            *number *= 60.0;
        }
    }
    let outputs = case.outputs(Run::on_one_thread(&[13], Kernel::detect()));
    let expected = naive_outputs(&case, NaiveKeys::Stored, 1);
    for (&got, &expected) in outputs.iter().zip(&expected) {
        // A score of 100 is off by some of the last bits of an f32, and so is the exponent of its weight.
        assert!((f64::from(got) - expected).abs() <= 1e-4, "{got} and not {expected}");
    }
}
