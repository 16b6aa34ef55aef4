//! The kernel for processors without one of their own, and the reference for the others.

use half::f16;

use super::tile_kernel::TileKernel;
use crate::layout::{ActivationBlock, BLOCK, FourBitGroup, FourBits, GROUP_ROWS, Q8_0Group, WORD};
use crate::round::quantize_blocks;

/// The kernel in plain Rust.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Portable;

impl TileKernel for Portable {
    fn quantize(self, block: impl Fn(usize) -> [f32; BLOCK], out: &mut [ActivationBlock]) {
        quantize_blocks(block, out);
    }

    fn four_bits<G: FourBitGroup, const T: usize>(
        self,
        group: &[G],
        rows: [&[ActivationBlock]; T],
    ) -> [[f32; GROUP_ROWS]; T] {
        rows.map(|row| {
            let mut outputs = [0.0; GROUP_ROWS];
            for (weights, block) in group.iter().zip(row) {
                let dots = dots_of_four_bits(weights.quants(), block);
                let Some(mins) = weights.mins() else {
                    let dots = dots.map(|dot| dot - 8 * block.sum);
                    add_dots(&mut outputs, weights.scales(), block, dots);
                    continue;
                };
                add_dots(&mut outputs, weights.scales(), block, dots);
                for (output, min) in outputs.iter_mut().zip(mins) {
                    *output = min.to_f32().mul_add(block.scaled_sum, *output);
                }
            }
            outputs
        })
    }

    fn eight_bits<const T: usize>(self, group: &[Q8_0Group], rows: [&[ActivationBlock]; T]) -> [[f32; GROUP_ROWS]; T] {
        rows.map(|row| {
            let mut outputs = [0.0; GROUP_ROWS];
            for (weights, block) in group.iter().zip(row) {
                add_dots(&mut outputs, &weights.scales, block, dots_of_bytes(weights, block));
            }
            outputs
        })
    }
}

fn add_dots(
    outputs: &mut [f32; GROUP_ROWS],
    scales: &[f16; GROUP_ROWS],
    block: &ActivationBlock,
    dots: [i32; GROUP_ROWS],
) {
    for ((output, scale), dot) in outputs.iter_mut().zip(scales).zip(dots) {
        *output = (scale.to_f32() * block.scale).mul_add(dot as f32, *output);
    }
}

/// Loops over whole arrays, so that the compiler can use the vectors of any processor. A lane's sum fits: 8 * 15 * 127
/// is 15,240.
fn dots_of_four_bits(quants: &FourBits, block: &ActivationBlock) -> [i32; GROUP_ROWS] {
    let mut lanes = [0_i16; GROUP_ROWS * WORD];
    for (word, bytes) in quants.iter().enumerate() {
        let low = four_columns(block, word);
        let high = four_columns(block, word + BLOCK / 2 / WORD);
        for i in 0..GROUP_ROWS * WORD {
            lanes[i] += i16::from(bytes[i] & 15) * low[i] + i16::from(bytes[i] >> 4) * high[i];
        }
    }
    row_sums(lanes.map(i32::from))
}

/// As [`dots_of_four_bits`]; one product fits into 16 bits, but three don't.
fn dots_of_bytes(weights: &Q8_0Group, block: &ActivationBlock) -> [i32; GROUP_ROWS] {
    let mut lanes = [0_i32; GROUP_ROWS * WORD];
    for (word, bytes) in weights.quants.iter().enumerate() {
        let columns = four_columns(block, word);
        for i in 0..GROUP_ROWS * WORD {
            lanes[i] += i32::from(i16::from(bytes[i] as i8) * columns[i]);
        }
    }
    row_sums(lanes)
}

/// Repeats four columns of the activations for each of the eight rows.
fn four_columns(block: &ActivationBlock, word: usize) -> [i16; GROUP_ROWS * WORD] {
    std::array::from_fn(|i| i16::from(block.quants[word * WORD + i % WORD]))
}

fn row_sums(lanes: [i32; GROUP_ROWS * WORD]) -> [i32; GROUP_ROWS] {
    std::array::from_fn(|row| lanes[row * WORD..][..WORD].iter().sum())
}
