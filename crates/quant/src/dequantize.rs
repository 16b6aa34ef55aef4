//! Converts stored blocks to f32, block by block.
//!
//! Every loop runs over arrays whose size is known at compile time, so that the compiler can vectorise it.

mod k_quants;

use half::{bf16, f16};

use crate::layout::BLOCK;
use crate::{BlockType, QuantError};
use k_quants::{q2_k, q3_k, q4_k, q5_k, q6_k};

/// Converts the values in `bytes` to f32 and writes them to `out`.
///
/// `out` may be one row, several, or a whole tensor: blocks follow each other without gaps. NaN and infinite scales are
/// propagated.
///
/// # Errors
/// [`QuantError::PartialBlock`] if `out` is not whole blocks long, [`QuantError::WrongLength`] if `bytes` are not
/// exactly the bytes of `out.len()` values.
pub fn dequantize(block_type: BlockType, bytes: &[u8], out: &mut [f32]) -> Result<(), QuantError> {
    let values = out.len();
    let expected = block_type
        .bytes_for(values)
        .ok_or(QuantError::PartialBlock { block_type, values })?;
    if bytes.len() != expected {
        return Err(QuantError::WrongLength {
            block_type,
            values,
            bytes: bytes.len(),
        });
    }
    match block_type {
        BlockType::F32 => each_value(bytes, out, f32::from_le_bytes),
        BlockType::F16 => each_value(bytes, out, f16_at),
        BlockType::Bf16 => each_value(bytes, out, |b| bf16::from_le_bytes(b).to_f32()),
        BlockType::Q4_0 => each_block(bytes, out, q4_0),
        BlockType::Q4_1 => each_block(bytes, out, q4_1),
        BlockType::Q5_0 => each_block(bytes, out, q5_0),
        BlockType::Q5_1 => each_block(bytes, out, q5_1),
        BlockType::Q8_0 => each_block(bytes, out, q8_0),
        BlockType::Q2K => each_block(bytes, out, q2_k),
        BlockType::Q3K => each_block(bytes, out, q3_k),
        BlockType::Q4K => each_block(bytes, out, q4_k),
        BlockType::Q5K => each_block(bytes, out, q5_k),
        BlockType::Q6K => each_block(bytes, out, q6_k),
    }
    Ok(())
}

/// Applies `read` to each value of a plain type of `N` bytes.
fn each_value<const N: usize>(bytes: &[u8], out: &mut [f32], read: impl Fn([u8; N]) -> f32) {
    let (values, _) = bytes.as_chunks::<N>();
    for (value, out) in values.iter().zip(out) {
        *out = read(*value);
    }
}

/// Applies `read` to each block of `N` bytes and `V` values.
fn each_block<const N: usize, const V: usize>(bytes: &[u8], out: &mut [f32], read: impl Fn(&[u8; N], &mut [f32; V])) {
    let (blocks, _) = bytes.as_chunks::<N>();
    let (outs, _) = out.as_chunks_mut::<V>();
    for (block, out) in blocks.iter().zip(outs) {
        read(block, out);
    }
}

fn f16_at(bytes: [u8; 2]) -> f32 {
    f16::from_le_bytes(bytes).to_f32()
}

fn q4_0(block: &[u8; 18], out: &mut [f32; BLOCK]) {
    let d = f16_at([block[0], block[1]]);
    for i in 0..BLOCK / 2 {
        let byte = block[2 + i];
        out[i] = d * f32::from((byte & 15) as i8 - 8);
        out[i + BLOCK / 2] = d * f32::from((byte >> 4) as i8 - 8);
    }
}

fn q4_1(block: &[u8; 20], out: &mut [f32; BLOCK]) {
    let d = f16_at([block[0], block[1]]);
    let m = f16_at([block[2], block[3]]);
    for i in 0..BLOCK / 2 {
        let byte = block[4 + i];
        out[i] = d * f32::from(byte & 15) + m;
        out[i + BLOCK / 2] = d * f32::from(byte >> 4) + m;
    }
}

fn q5_0(block: &[u8; 22], out: &mut [f32; BLOCK]) {
    let d = f16_at([block[0], block[1]]);
    let fifth_bits = fifth_bits([block[2], block[3], block[4], block[5]]);
    for i in 0..BLOCK / 2 {
        let byte = block[6 + i];
        out[i] = d * f32::from((byte & 15 | fifth_bits(i)) as i8 - 16);
        out[i + BLOCK / 2] = d * f32::from((byte >> 4 | fifth_bits(i + BLOCK / 2)) as i8 - 16);
    }
}

fn q5_1(block: &[u8; 24], out: &mut [f32; BLOCK]) {
    let d = f16_at([block[0], block[1]]);
    let m = f16_at([block[2], block[3]]);
    let fifth_bits = fifth_bits([block[4], block[5], block[6], block[7]]);
    for i in 0..BLOCK / 2 {
        let byte = block[8 + i];
        out[i] = d * f32::from(byte & 15 | fifth_bits(i)) + m;
        out[i + BLOCK / 2] = d * f32::from(byte >> 4 | fifth_bits(i + BLOCK / 2)) + m;
    }
}

/// Returns the fifth bit of each value of a block, shifted to its position in the value.
fn fifth_bits(bytes: [u8; 4]) -> impl Fn(usize) -> u8 {
    let bits = u32::from_le_bytes(bytes);
    move |value| ((bits >> value & 1) as u8) << 4
}

fn q8_0(block: &[u8; 34], out: &mut [f32; BLOCK]) {
    let d = f16_at([block[0], block[1]]);
    for i in 0..BLOCK {
        out[i] = d * f32::from(block[2 + i] as i8);
    }
}
