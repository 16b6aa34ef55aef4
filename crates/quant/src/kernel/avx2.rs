//! The kernel for x86-64 processors with AVX2, FMA and F16C: nearly all since 2013.
//!
//! One 256-bit register holds four columns of each of the eight rows, so that a group's sums never leave their lanes.
#![expect(
    unsafe_code,
    reason = "the compiler can't know that a processor has these instructions, nor check a load by pointer"
)]

mod panel;

use std::arch::x86_64::{
    __m256, __m256i, _MM_HINT_T0, _mm_loadu_si128, _mm_prefetch, _mm256_abs_epi8, _mm256_add_epi16, _mm256_add_epi32,
    _mm256_and_si256, _mm256_cvtepi32_ps, _mm256_cvtph_ps, _mm256_fmadd_ps, _mm256_loadu_si256, _mm256_madd_epi16,
    _mm256_maddubs_epi16, _mm256_mul_ps, _mm256_set1_epi8, _mm256_set1_epi16, _mm256_set1_epi32, _mm256_set1_ps,
    _mm256_setzero_ps, _mm256_setzero_si256, _mm256_sign_epi8, _mm256_srli_epi16, _mm256_storeu_ps, _mm256_sub_epi32,
};
use std::ptr;

use half::f16;

use super::tile_kernel::{PanelOutputs, TileKernel};
use crate::layout::{ActivationBlock, BLOCK, FourBitGroup, GROUP_ROWS, Panel, Q8_0Group, WORD};
use crate::round::quantize_blocks;

/// How far ahead of the products weights are prefetched: a token reads the whole matrix from memory, and the
/// processor's own prefetching stops at the end of each page.
const PREFETCH_BYTES: usize = 4_096;

const CACHE_LINE: usize = 64;

/// Proof that the processor has AVX2, FMA and F16C: only [`Avx2::detect`] creates one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Avx2(());

impl Avx2 {
    /// Returns the kernel if the processor has its instructions.
    pub(crate) fn detect() -> Option<Self> {
        let has_all =
            is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("f16c");
        has_all.then_some(Self(()))
    }
}

impl TileKernel for Avx2 {
    fn quantize(self, block: impl Fn(usize) -> [f32; BLOCK], out: &mut [ActivationBlock]) {
        // SAFETY: `self` was detected, so the processor has the instructions.
        unsafe { quantize(block, out) }
    }

    fn four_bits<G: FourBitGroup, const T: usize>(
        self,
        group: &[G],
        rows: [&[ActivationBlock]; T],
    ) -> [[f32; GROUP_ROWS]; T] {
        // SAFETY: `self` was detected, so the processor has the instructions.
        unsafe { four_bits(group, rows) }
    }

    fn four_bits_of_panels<G: FourBitGroup>(self, group: &[G], panels: &[Panel], out: &mut PanelOutputs) -> bool {
        // SAFETY: `self` was detected, so the processor has the instructions.
        unsafe { panel::four_bits(group, panels, out) };
        true
    }

    fn eight_bits<const T: usize>(self, group: &[Q8_0Group], rows: [&[ActivationBlock]; T]) -> [[f32; GROUP_ROWS]; T] {
        // SAFETY: `self` was detected, so the processor has the instructions.
        unsafe { eight_bits(group, rows) }
    }
}

#[target_feature(enable = "avx2,fma,f16c")]
fn quantize(block: impl Fn(usize) -> [f32; BLOCK], out: &mut [ActivationBlock]) {
    quantize_blocks(block, out);
}

/// Sums of eight pairs of products fit in 16 bits: 8 * 2 * 15 * 127 is 30,480, below 32,768.
///
/// One function with all its loops, as is [`eight_bits`]: a call in the middle would spill every register to memory.
#[target_feature(enable = "avx2,fma,f16c")]
fn four_bits<G: FourBitGroup, const T: usize>(group: &[G], rows: [&[ActivationBlock]; T]) -> [[f32; GROUP_ROWS]; T] {
    let mut sums = [_mm256_setzero_ps(); T];
    for (block_idx, weights) in group.iter().enumerate() {
        prefetch(weights);
        let mut pairs = [_mm256_setzero_si256(); T];
        for (word, quants) in weights.quants().iter().enumerate() {
            let (low, high) = nibbles(load_bytes(quants));
            for t in 0..T {
                let block = &rows[t][block_idx];
                let low = _mm256_maddubs_epi16(low, four_columns(block, word));
                let high = _mm256_maddubs_epi16(high, four_columns(block, word + BLOCK / 2 / WORD));
                pairs[t] = _mm256_add_epi16(pairs[t], _mm256_add_epi16(low, high));
            }
        }
        let scales = load_f16(weights.scales());
        for t in 0..T {
            let block = &rows[t][block_idx];
            let dots = _mm256_madd_epi16(pairs[t], _mm256_set1_epi16(1));
            sums[t] = match weights.mins() {
                None => {
                    let dots = _mm256_sub_epi32(dots, _mm256_set1_epi32(8 * block.sum));
                    add_dots(sums[t], scales, block, dots)
                }
                Some(mins) => {
                    let sum = add_dots(sums[t], scales, block, dots);
                    _mm256_fmadd_ps(load_f16(mins), _mm256_set1_ps(block.scaled_sum), sum)
                }
            };
        }
    }
    store_sums(sums)
}

/// Moves the sign from the weight to the activation, whose negation always exists; the weight -128 becomes 128, which
/// fits, since that factor is unsigned. A pair is at most 2 * 128 * 127 = 32,512.
#[target_feature(enable = "avx2,fma,f16c")]
fn eight_bits<const T: usize>(group: &[Q8_0Group], rows: [&[ActivationBlock]; T]) -> [[f32; GROUP_ROWS]; T] {
    let mut sums = [_mm256_setzero_ps(); T];
    for (block_idx, weights) in group.iter().enumerate() {
        prefetch(weights);
        let mut dots = [_mm256_setzero_si256(); T];
        for (word, quants) in weights.quants.iter().enumerate() {
            let signed = load_bytes(quants);
            let unsigned = _mm256_abs_epi8(signed);
            for t in 0..T {
                let activations = _mm256_sign_epi8(four_columns(&rows[t][block_idx], word), signed);
                let pairs = _mm256_maddubs_epi16(unsigned, activations);
                dots[t] = _mm256_add_epi32(dots[t], _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
            }
        }
        let scales = load_f16(&weights.scales);
        for t in 0..T {
            sums[t] = add_dots(sums[t], scales, &rows[t][block_idx], dots[t]);
        }
    }
    store_sums(sums)
}

/// Prefetches the weights [`PREFETCH_BYTES`] after these. Past the end of the matrix the prefetched data isn't used.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn prefetch<G>(weights: &G) {
    let ahead = ptr::from_ref(weights).cast::<i8>().wrapping_add(PREFETCH_BYTES);
    for line in 0..size_of::<G>().div_ceil(CACHE_LINE) {
        _mm_prefetch::<_MM_HINT_T0>(ahead.wrapping_add(line * CACHE_LINE));
    }
}

/// Returns the low and the high nibble of every byte.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn nibbles(both: __m256i) -> (__m256i, __m256i) {
    let low_half = _mm256_set1_epi8(15);
    let high = _mm256_srli_epi16::<4>(both);
    (_mm256_and_si256(both, low_half), _mm256_and_si256(high, low_half))
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn add_dots(sum: __m256, scales: __m256, block: &ActivationBlock, dots: __m256i) -> __m256 {
    let scales = _mm256_mul_ps(scales, _mm256_set1_ps(block.scale));
    _mm256_fmadd_ps(scales, _mm256_cvtepi32_ps(dots), sum)
}

/// Broadcasts four columns of the activations to each of the eight rows.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn four_columns(block: &ActivationBlock, word: usize) -> __m256i {
    let (words, _) = block.quants.as_chunks::<WORD>();
    _mm256_set1_epi32(i32::from_le_bytes(words[word].map(|quant| quant as u8)))
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn load_f16(values: &[f16; GROUP_ROWS]) -> __m256 {
    // SAFETY: eight f16 are 16 bytes, and the load needs no alignment.
    _mm256_cvtph_ps(unsafe { _mm_loadu_si128(values.as_ptr().cast()) })
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn load_bytes(bytes: &[u8; GROUP_ROWS * WORD]) -> __m256i {
    // SAFETY: the array has 32 bytes, and the load needs no alignment.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn store_sums<const T: usize>(sums: [__m256; T]) -> [[f32; GROUP_ROWS]; T] {
    let mut outputs = [[0.0; GROUP_ROWS]; T];
    for (outputs, sums) in outputs.iter_mut().zip(sums) {
        // SAFETY: eight f32 are 32 bytes, and the store needs no alignment.
        unsafe { _mm256_storeu_ps(outputs.as_mut_ptr(), sums) };
    }
    outputs
}
