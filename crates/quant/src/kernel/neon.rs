//! The kernel for 64-bit ARM processors that add four products of bytes in one instruction (`dotprod`): Apple's, and
//! nearly all servers' and phones' since 2018.
//!
//! Two 128-bit registers hold four columns of each of the eight rows. `sdot` multiplies all lanes by one word of a
//! register of activations, so that a block's activations are two loads.
#![expect(
    unsafe_code,
    reason = "the compiler can't know that a processor has these instructions, nor check a load by pointer or assembly"
)]

use std::arch::aarch64::{
    float32x4_t, int8x16_t, int32x4_t, uint8x16_t, vandq_u8, vcvt_f32_f16, vcvtq_f32_s32, vdupq_n_f32, vdupq_n_s32,
    vdupq_n_u8, vfmaq_f32, vld1_u16, vld1q_s8, vld1q_u8, vmulq_f32, vreinterpret_f16_u16, vreinterpretq_s8_u8,
    vshrq_n_u8, vst1q_f32,
};
use std::arch::{asm, is_aarch64_feature_detected};

use half::f16;

use super::tile_kernel::TileKernel;
use crate::layout::{ActivationBlock, BLOCK, FourBitGroup, GROUP_ROWS, Q8_0Group, WORD};
use crate::round::quantize_blocks;

/// Proof that the processor has `dotprod`: only [`NeonDotprod::detect`] creates one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NeonDotprod(());

/// Registers for the eight rows: rows 0 to 3, and rows 4 to 7.
const REGISTERS: usize = 2;

/// Words in a register of activations.
const WORDS: usize = 4;

impl NeonDotprod {
    /// Returns the kernel if the processor has its instructions.
    pub(crate) fn detect() -> Option<Self> {
        is_aarch64_feature_detected!("dotprod").then_some(Self(()))
    }
}

impl TileKernel for NeonDotprod {
    fn quantize(self, block: impl Fn(usize) -> [f32; BLOCK], out: &mut [ActivationBlock]) {
        quantize_blocks(block, out);
    }

    fn four_bits<G: FourBitGroup, const T: usize>(
        self,
        group: &[G],
        rows: [&[ActivationBlock]; T],
    ) -> [[f32; GROUP_ROWS]; T] {
        // SAFETY: `self` was detected, so the processor has the instructions.
        unsafe { four_bits(group, rows) }
    }

    fn eight_bits<const T: usize>(self, group: &[Q8_0Group], rows: [&[ActivationBlock]; T]) -> [[f32; GROUP_ROWS]; T] {
        // SAFETY: `self` was detected, so the processor has the instructions.
        unsafe { eight_bits(group, rows) }
    }
}

/// Without minimums, sums start with the correction for subtracting 8 from every quant.
#[target_feature(enable = "neon,dotprod")]
fn four_bits<G: FourBitGroup, const T: usize>(group: &[G], rows: [&[ActivationBlock]; T]) -> [[f32; GROUP_ROWS]; T] {
    let mut sums = [[vdupq_n_f32(0.0); REGISTERS]; T];
    for (block_idx, weights) in group.iter().enumerate() {
        let quants = weights.quants().each_ref().map(|word| load_bytes(word));
        let low = quants.map(|word| word.map(|both| vreinterpretq_s8_u8(vandq_u8(both, vdupq_n_u8(15)))));
        let high = quants.map(|word| word.map(|both| vreinterpretq_s8_u8(vshrq_n_u8::<4>(both))));
        let offset = if weights.mins().is_some() { 0 } else { -8 };
        let scales = load_f16(weights.scales());
        let mins = weights.mins().map(|mins| load_f16(mins));
        for t in 0..T {
            let block = &rows[t][block_idx];
            let [first, second] = columns(block);
            let dots = dot(start(offset * block.sum), &low, first);
            let dots = dot(dots, &high, second);
            sums[t] = add_dots(sums[t], scales, block, dots);
            if let Some(mins) = mins {
                let scaled_sum = vdupq_n_f32(block.scaled_sum);
                for half in 0..REGISTERS {
                    sums[t][half] = vfmaq_f32(sums[t][half], mins[half], scaled_sum);
                }
            }
        }
    }
    store_sums(sums)
}

#[target_feature(enable = "neon,dotprod")]
fn eight_bits<const T: usize>(group: &[Q8_0Group], rows: [&[ActivationBlock]; T]) -> [[f32; GROUP_ROWS]; T] {
    let mut sums = [[vdupq_n_f32(0.0); REGISTERS]; T];
    for (block_idx, weights) in group.iter().enumerate() {
        let words = weights
            .quants
            .each_ref()
            .map(|word| load_bytes(word).map(|both| vreinterpretq_s8_u8(both)));
        let (words, _) = words.as_chunks::<WORDS>();
        let scales = load_f16(&weights.scales);
        for t in 0..T {
            let block = &rows[t][block_idx];
            let [first, second] = columns(block);
            let dots = dot(start(0), &words[0], first);
            let dots = dot(dots, &words[1], second);
            sums[t] = add_dots(sums[t], scales, block, dots);
        }
    }
    store_sums(sums)
}

/// Adds the products of four words, each with its word of the activations.
#[inline]
#[target_feature(enable = "neon,dotprod")]
fn dot(
    dots: [int32x4_t; REGISTERS],
    words: &[[int8x16_t; REGISTERS]; WORDS],
    activations: int8x16_t,
) -> [int32x4_t; REGISTERS] {
    let dots = dot_word::<0>(dots, words[0], activations);
    let dots = dot_word::<1>(dots, words[1], activations);
    let dots = dot_word::<2>(dots, words[2], activations);
    dot_word::<3>(dots, words[3], activations)
}

/// Uses assembly, since the intrinsic isn't stable. Nothing saturates, so sums of a block are exact.
#[inline]
#[target_feature(enable = "neon,dotprod")]
fn dot_word<const WORD: usize>(
    dots: [int32x4_t; REGISTERS],
    words: [int8x16_t; REGISTERS],
    activations: int8x16_t,
) -> [int32x4_t; REGISTERS] {
    let [mut first, mut second] = dots;
    // SAFETY: the function's features have the instruction, which only changes the two registers that it names.
    unsafe {
        asm!(
            "sdot {first:v}.4s, {rows_0_to_3:v}.16b, {activations:v}.4b[{word}]",
            "sdot {second:v}.4s, {rows_4_to_7:v}.16b, {activations:v}.4b[{word}]",
            first = inout(vreg) first,
            second = inout(vreg) second,
            rows_0_to_3 = in(vreg) words[0],
            rows_4_to_7 = in(vreg) words[1],
            activations = in(vreg) activations,
            word = const WORD,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    [first, second]
}

#[inline]
#[target_feature(enable = "neon,dotprod")]
fn start(dot: i32) -> [int32x4_t; REGISTERS] {
    [vdupq_n_s32(dot); REGISTERS]
}

#[inline]
#[target_feature(enable = "neon,dotprod")]
fn add_dots(
    mut sums: [float32x4_t; REGISTERS],
    scales: [float32x4_t; REGISTERS],
    block: &ActivationBlock,
    dots: [int32x4_t; REGISTERS],
) -> [float32x4_t; REGISTERS] {
    for half in 0..REGISTERS {
        let scale = vmulq_f32(scales[half], vdupq_n_f32(block.scale));
        sums[half] = vfmaq_f32(sums[half], scale, vcvtq_f32_s32(dots[half]));
    }
    sums
}

/// Loads the activations of a block, 16 columns in each register.
#[inline]
#[target_feature(enable = "neon,dotprod")]
fn columns(block: &ActivationBlock) -> [int8x16_t; 2] {
    let (halves, _) = block.quants.as_chunks::<{ BLOCK / 2 }>();
    // SAFETY: each half of the array has 16 bytes.
    [0, 1].map(|half| unsafe { vld1q_s8(halves[half].as_ptr()) })
}

#[inline]
#[target_feature(enable = "neon,dotprod")]
fn load_f16(values: &[f16; GROUP_ROWS]) -> [float32x4_t; REGISTERS] {
    let (fours, _) = values.as_chunks::<{ GROUP_ROWS / REGISTERS }>();
    // SAFETY: each of the two has four f16, which are as large as `u16`.
    [0, 1].map(|half| vcvt_f32_f16(vreinterpret_f16_u16(unsafe { vld1_u16(fours[half].as_ptr().cast()) })))
}

#[inline]
#[target_feature(enable = "neon,dotprod")]
fn load_bytes(bytes: &[u8; GROUP_ROWS * WORD]) -> [uint8x16_t; REGISTERS] {
    let (halves, _) = bytes.as_chunks::<{ GROUP_ROWS * WORD / REGISTERS }>();
    // SAFETY: each half of the array has 16 bytes.
    [0, 1].map(|half| unsafe { vld1q_u8(halves[half].as_ptr()) })
}

#[inline]
#[target_feature(enable = "neon,dotprod")]
fn store_sums<const T: usize>(sums: [[float32x4_t; REGISTERS]; T]) -> [[f32; GROUP_ROWS]; T] {
    let mut outputs = [[0.0; GROUP_ROWS]; T];
    for (outputs, sums) in outputs.iter_mut().zip(sums) {
        let (fours, _) = outputs.as_chunks_mut::<{ GROUP_ROWS / REGISTERS }>();
        for (four, sums) in fours.iter_mut().zip(sums) {
            // SAFETY: the array has four f32.
            unsafe { vst1q_f32(four.as_mut_ptr(), sums) };
        }
    }
    outputs
}
