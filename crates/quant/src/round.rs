//! Rounds blocks of f32 to signed bytes.
//!
//! 32 values go in. Out come a scale `d` and 32 integers `q` from -127 to 127 with `x ≈ d * q`, each with an error of
//! at most `d / 2`. A block depends on its 32 values only. Kernels compile it for their own instructions, none of which
//! changes the result.

use crate::layout::{ActivationBlock, BLOCK};

/// The largest quant: the range is symmetric, since -128 would need a sum that doesn't fit in 16 bits.
const MAX_QUANT: f32 = 127.0;

/// 1.5 * 2^23: adding it rounds a small number to an integer, ties to even, which is then in the low bits of the sum.
const ROUND_TO_INTEGER: f32 = 12_582_912.0;

/// Quantises the values that `block` returns. Inlined into each kernel and compiled for its instructions; the result is
/// the same with all of them.
#[inline(always)]
pub(crate) fn quantize_blocks(block: impl Fn(usize) -> [f32; BLOCK], out: &mut [ActivationBlock]) {
    for (idx, out) in out.iter_mut().enumerate() {
        *out = quantize_block(&block(idx));
    }
}

#[inline(always)]
fn quantize_block(values: &[f32; BLOCK]) -> ActivationBlock {
    // Without the sign bit, floats are ordered like their bits; infinities and NaN are the largest.
    let mut max_bits = 0;
    for value in values {
        max_bits = max_bits.max((value.to_bits() & 0x7fff_ffff) as i32);
    }
    let max = f32::from_bits(max_bits as u32);
    let scale = max / MAX_QUANT;
    if !scale.is_normal() {
        // Tested by its bits, since valgrind treats NaN as finite.
        let is_finite = max_bits < f32::INFINITY.to_bits() as i32;
        let scale = if is_finite { 0.0 } else { f32::NAN };
        return ActivationBlock {
            scale,
            scaled_sum: scale,
            ..ActivationBlock::default()
        };
    }
    let inverse_scale = MAX_QUANT / max;
    let mut quants = [0; BLOCK];
    let mut sum = 0;
    for (quant, value) in quants.iter_mut().zip(values) {
        *quant = (value * inverse_scale + ROUND_TO_INTEGER).to_bits() as i8;
        sum += i32::from(*quant);
    }
    ActivationBlock {
        quants,
        scale,
        sum,
        scaled_sum: scale * sum as f32,
    }
}
