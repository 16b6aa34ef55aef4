//! What is computed of one row before a product: norms and gates, in plain Rust over whole arrays.
//!
//! Blocks are computed where they are quantised, inlined there, and so compiled for the processor's own instructions.
//! Sums have one order, eight at a time, and a value depends on its own row alone: so a row is the same bits in every
//! chunk, on any thread, and with any vector instructions that the compiler chooses.

use quant::ACTIVATION_BLOCK;

/// Values that are added up at once.
const LANES: usize = 8;

/// 1.5 * 2^23: a small number that is added to it is rounded to a whole one, which is left in the sum's low bits.
const ROUNDER: f32 = 12_582_912.0;

/// The natural logarithm of 2 in two parts, of which the first times a whole number up to 128 is exact.
const LN_2_HIGH: f32 = 0.693_359_4;
const LN_2_LOW: f32 = -2.121_944_4e-4;

/// Exponents from here on stay normal numbers.
const MIN_EXPONENT: f32 = -87.0;
const MAX_EXPONENT: f32 = 88.0;

/// Values that are quantised together.
pub(crate) type Block = [f32; ACTIVATION_BLOCK];

/// A root-mean-square norm (RMSNorm, arXiv:1910.07467): `x / sqrt(mean(x²) + eps) * weight`.
pub(crate) struct RmsNorm {
    /// One for each column.
    pub(crate) weight: Vec<f32>,
    pub(crate) eps: f32,
}

/// What a root-mean-square norm multiplies a row with, beside the weights: `1 / sqrt(mean(x²) + eps)`.
pub(crate) fn rms_scale(x: &[f32], eps: f32) -> f32 {
    1.0 / (sum_of_squares(x) / x.len() as f32 + eps).sqrt()
}

/// Some of a row's norm: `x * scale * weight`.
#[inline(always)]
pub(crate) fn normed(x: &Block, scale: f32, weight: &Block) -> Block {
    let mut out = [0.0; ACTIVATION_BLOCK];
    for ((out, x), weight) in out.iter_mut().zip(x).zip(weight) {
        *out = x * scale * weight;
    }
    out
}

fn sum_of_squares(x: &[f32]) -> f32 {
    let (arrays, rest) = x.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for array in arrays {
        for (sum, x) in sums.iter_mut().zip(array) {
            *sum += x * x;
        }
    }
    let rest: f32 = rest.iter().map(|x| x * x).sum();
    sums.iter().sum::<f32>() + rest
}

/// Some of a gated row: `silu(gate) * up`, where `silu(x) = x / (1 + exp(-x))`.
#[inline(always)]
pub(crate) fn gated(gate: &Block, up: &Block) -> Block {
    let mut out = [0.0; ACTIVATION_BLOCK];
    for ((out, &gate), up) in out.iter_mut().zip(gate).zip(up) {
        *out = gate / (1.0 + exp(-gate)) * up;
    }
    out
}

/// The exponential function, off by at most 2 units in the last place between [`MIN_EXPONENT`] and [`MAX_EXPONENT`],
/// and constant beyond. `x = n ln 2 + r` with a whole `n` and a small `r`, whose series has 7 terms left within an f32.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    let x = if x < MIN_EXPONENT { MIN_EXPONENT } else { x };
    let x = if x > MAX_EXPONENT { MAX_EXPONENT } else { x };
    let rounded = x * std::f32::consts::LOG2_E + ROUNDER;
    let n = rounded - ROUNDER;
    let r = x - n * LN_2_HIGH - n * LN_2_LOW;
    let mut series = 1.0 / 5_040.0;
    for factorial in [720.0, 120.0, 24.0, 6.0, 2.0, 1.0, 1.0] {
        series = series * r + 1.0 / factorial;
    }
    let power = f32::from_bits((rounded.to_bits() << 23).wrapping_add(1_f32.to_bits()));
    series * power
}
