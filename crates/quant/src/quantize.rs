//! Converts f32 to stored blocks, block by block, with the rounding of ggml's reference.
//!
//! f32 values go in, the bytes of a Q8_0 or Q4_0 tensor come out: the same on every processor. It never searches for
//! better scales than the reference does, and never quantises NaN or infinities.

use half::f16;

use crate::layout::BLOCK;
use crate::{BlockType, QuantError};

/// The largest quant of Q8_0; the range is symmetric.
const MAX_Q8_0: f32 = 127.0;

/// The quant of the value of largest magnitude in Q4_0, whatever its sign: the only quant without a counterpart of the
/// other sign.
const MIN_Q4_0: f32 = -8.0;

/// Writes `values` to `out` as blocks of the given type.
///
/// As in [`dequantize`](crate::dequantize), both may be one row, several, or a whole tensor. In Q8_0 the error of a
/// value is at most a 254th of the largest in its block (plus the rounding of the scale to f16); in Q4_0 a 16th, or an
/// 8th if the largest has the other sign.
///
/// # Errors
/// [`QuantError::NotQuantizable`] for any type but Q8_0 and Q4_0, [`QuantError::PartialBlock`] if `values` aren't whole
/// blocks, [`QuantError::WrongLength`] if `out` isn't exactly their bytes, [`QuantError::NotFinite`] for a NaN, an
/// infinity, or a value beyond 8.3e6 (Q8_0) or 5.2e5 (Q4_0), whose scale would be infinite: then `out` holds the blocks
/// before it.
pub fn quantize(block_type: BlockType, values: &[f32], out: &mut [u8]) -> Result<(), QuantError> {
    let (n_values, bytes) = (values.len(), out.len());
    match block_type.bytes_for(n_values) {
        None => {
            return Err(QuantError::PartialBlock {
                block_type,
                values: n_values,
            });
        }
        Some(expected) if expected != bytes => {
            return Err(QuantError::WrongLength {
                block_type,
                values: n_values,
                bytes,
            });
        }
        Some(_) => {}
    }
    match block_type {
        BlockType::Q8_0 => each_block(values, out, q8_0),
        BlockType::Q4_0 => each_block(values, out, q4_0),
        BlockType::F32
        | BlockType::F16
        | BlockType::Bf16
        | BlockType::Q4_1
        | BlockType::Q5_0
        | BlockType::Q5_1
        | BlockType::Q2K
        | BlockType::Q3K
        | BlockType::Q4K
        | BlockType::Q5K
        | BlockType::Q6K => Err(QuantError::NotQuantizable { block_type }),
    }
}

/// Applies `write`, which returns the scale, to each block of `N` bytes.
fn each_block<const N: usize>(
    values: &[f32],
    out: &mut [u8],
    write: impl Fn(&[f32; BLOCK], &mut [u8; N]) -> f16,
) -> Result<(), QuantError> {
    let (blocks, _) = values.as_chunks::<BLOCK>();
    let (outs, _) = out.as_chunks_mut::<N>();
    for (idx, (block, out)) in blocks.iter().zip(outs).enumerate() {
        let scale = write(block, out);
        if !scale.is_finite() || block.iter().any(|value| value.is_nan()) {
            return Err(QuantError::NotFinite {
                value: idx * BLOCK + largest(block),
            });
        }
        [out[0], out[1]] = scale.to_le_bytes();
    }
    Ok(())
}

/// Returns the index of the first NaN, or else of the first value of largest magnitude.
fn largest(block: &[f32; BLOCK]) -> usize {
    let mut largest = 0;
    for (idx, value) in block.iter().enumerate() {
        if value.is_nan() {
            return idx;
        }
        if value.abs() > block[largest].abs() {
            largest = idx;
        }
    }
    largest
}

/// Returns the inverse of a scale that wasn't rounded to f16 yet; 0 for a block of zeros.
fn inverse(scale: f32) -> f32 {
    if scale == 0.0 { 0.0 } else { 1.0 / scale }
}

fn q8_0(values: &[f32; BLOCK], block: &mut [u8; 34]) -> f16 {
    let max = values.iter().fold(0.0_f32, |max, value| max.max(value.abs()));
    let scale = max / MAX_Q8_0;
    let inverse_scale = inverse(scale);
    for (quant, value) in block[2..].iter_mut().zip(values) {
        // `round` rounds ties away from zero, as C's `roundf` does.
        *quant = ((value * inverse_scale).round() as i8).cast_unsigned();
    }
    f16::from_f32(scale)
}

fn q4_0(values: &[f32; BLOCK], block: &mut [u8; 18]) -> f16 {
    let scale = values[largest(values)] / MIN_Q4_0;
    let inverse_scale = inverse(scale);
    // Two roundings, never one fused: add half a unit and the 8 that makes a quant positive, then truncate.
    let quant = |value: f32| ((value * inverse_scale + 8.5) as u8).min(15);
    let (low, high) = values.split_at(BLOCK / 2);
    for (byte, (low, high)) in block[2..].iter_mut().zip(low.iter().zip(high)) {
        *byte = quant(*low) | quant(*high) << 4;
    }
    f16::from_f32(scale)
}
