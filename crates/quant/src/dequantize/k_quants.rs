//! ggml's K-quants: 256 values per block, with scales that are small integers in units of an f16.
//!
//! A stored block goes in, 256 values come out, with the roundings of ggml's reference: one product for a run's scale,
//! another for a value. These types are only read; products use the type to which they are requantised.

use super::f16_at;

/// Values in a block.
pub(super) const K_BLOCK: usize = 256;

/// Values that share a scale in Q2_K, Q3_K and Q6_K.
const SHORT_RUN: usize = 16;

/// Values that share a scale in Q4_K and Q5_K.
const LONG_RUN: usize = 32;

/// Bytes of 2-bit quants that belong to 128 values: value `32 s + i` is bits `2 s` and `2 s + 1` of byte `i`.
const TWO_BIT_BYTES: usize = 32;

pub(super) fn q2_k(block: &[u8; 84], out: &mut [f32; K_BLOCK]) {
    let (scales, rest) = block.split_at(16);
    let (quants, units) = rest.split_at(64);
    let (d, min) = (f16_at([units[0], units[1]]), f16_at([units[2], units[3]]));
    for (run, out) in out.chunks_exact_mut(SHORT_RUN).enumerate() {
        let (scale, min) = (d * f32::from(scales[run] & 15), min * f32::from(scales[run] >> 4));
        for (i, out) in out.iter_mut().enumerate() {
            let quant = two_bits(quants, run * SHORT_RUN + i);
            *out = scale * f32::from(quant) - min;
        }
    }
}

pub(super) fn q3_k(block: &[u8; 110], out: &mut [f32; K_BLOCK]) {
    let (third_bits, rest) = block.split_at(32);
    let (quants, rest) = rest.split_at(64);
    let (scales, units) = rest.split_at(12);
    let d = f16_at([units[0], units[1]]);
    for (run, out) in out.chunks_exact_mut(SHORT_RUN).enumerate() {
        let scale = d * f32::from(q3_k_scale(scales, run));
        for (i, out) in out.iter_mut().enumerate() {
            let value = run * SHORT_RUN + i;
            let third = third_bits[value % 32] >> (value / 32) & 1;
            let quant = (two_bits(quants, value) | third << 2) as i8 - 4;
            *out = scale * f32::from(quant);
        }
    }
}

pub(super) fn q4_k(block: &[u8; 144], out: &mut [f32; K_BLOCK]) {
    let (scales, quants) = block[4..].split_at(12);
    for (run, out) in out.chunks_exact_mut(LONG_RUN).enumerate() {
        let (scale, min) = long_run_scale_and_min(block, scales, run);
        for (i, out) in out.iter_mut().enumerate() {
            *out = scale * f32::from(nibble(quants, run, i)) - min;
        }
    }
}

pub(super) fn q5_k(block: &[u8; 176], out: &mut [f32; K_BLOCK]) {
    let (scales, rest) = block[4..].split_at(12);
    let (fifth_bits, quants) = rest.split_at(32);
    for (run, out) in out.chunks_exact_mut(LONG_RUN).enumerate() {
        let (scale, min) = long_run_scale_and_min(block, scales, run);
        for (i, out) in out.iter_mut().enumerate() {
            let fifth = fifth_bits[i] >> run & 1;
            *out = scale * f32::from(nibble(quants, run, i) | fifth << 4) - min;
        }
    }
}

pub(super) fn q6_k(block: &[u8; 210], out: &mut [f32; K_BLOCK]) {
    let (low, rest) = block.split_at(128);
    let (high, rest) = rest.split_at(64);
    let (scales, units) = rest.split_at(16);
    let d = f16_at([units[0], units[1]]);
    for (run, out) in out.chunks_exact_mut(SHORT_RUN).enumerate() {
        let scale = d * f32::from(scales[run].cast_signed());
        for (i, out) in out.iter_mut().enumerate() {
            let value = run * SHORT_RUN + i;
            // Of 128 values, the first 64 are in the low nibbles of 64 bytes, the others in the high ones.
            let byte = low[value / 128 * 64 + value % 64];
            let low = byte >> (value % 128 / 64 * 4) & 15;
            *out = scale * f32::from((low | two_bits(high, value) << 4) as i8 - 32);
        }
    }
}

/// Returns 2-bit quant `value` of a block.
fn two_bits(quants: &[u8], value: usize) -> u8 {
    let byte = quants[value / 128 * TWO_BIT_BYTES + value % 32];
    byte >> (value % 128 / 32 * 2) & 3
}

/// Returns value `i` of a run of 32: two runs share 32 bytes, the first of them in the low nibbles.
fn nibble(quants: &[u8], run: usize, i: usize) -> u8 {
    quants[run / 2 * LONG_RUN + i] >> (run % 2 * 4) & 15
}

/// Returns the scale of a run of Q3_K, -32 to 31: four bits are in eight bytes, two more in the four bytes after them.
fn q3_k_scale(scales: &[u8], run: usize) -> i8 {
    let low = scales[run % 8] >> (run / 8 * 4) & 15;
    let high = scales[8 + run % 4] >> (run / 4 * 2) & 3;
    (low | high << 4) as i8 - 32
}

/// Returns scale and minimum of a run of Q4_K or Q5_K, whose blocks begin with the units of both. The first four runs
/// have six bits of a byte each; the others have four bits in the last bytes, and two more that the first ones leave
/// unused.
fn long_run_scale_and_min(block: &[u8], scales: &[u8], run: usize) -> (f32, f32) {
    let (scale, min) = if run < 4 {
        (scales[run] & 63, scales[run + 4] & 63)
    } else {
        let both = scales[run + 4];
        (both & 15 | scales[run - 4] >> 6 << 4, both >> 4 | scales[run] >> 6 << 4)
    };
    let (d, unit_min) = (f16_at([block[0], block[1]]), f16_at([block[2], block[3]]));
    (d * f32::from(scale), unit_min * f32::from(min))
}
