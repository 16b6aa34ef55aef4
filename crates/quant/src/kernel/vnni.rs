//! The kernels for x86-64 processors that multiply bytes and add four products in one instruction: AVX-512 VNNI
//! (servers since 2019, AMD since Zen 4) and AVX-VNNI (desktop processors without AVX-512, since 2021).
//!
//! They differ in how that instruction is encoded, and in how many registers there are. Both process 256 bits at a
//! time, eight rows, as AVX2 does, whose loads, float steps and stores they share. `vpdpbusd` wraps at 32 bits and
//! never saturates, so sums of a block are exact.
#![expect(
    unsafe_code,
    reason = "the compiler can't know that a processor has these instructions"
)]

use std::arch::x86_64::{
    _mm256_dpbusd_avx_epi32, _mm256_dpbusd_epi32, _mm256_fmadd_ps, _mm256_set1_epi8, _mm256_set1_epi32, _mm256_set1_ps,
    _mm256_setzero_ps, _mm256_xor_si256,
};

use super::avx2::{add_dots, four_columns, load_bytes, load_f16, nibbles, store_sums};
use super::tile_kernel::TileKernel;
use crate::layout::{ActivationBlock, BLOCK, FourBitGroup, GROUP_ROWS, Q8_0Group, WORD};
use crate::round::quantize_blocks;

/// Defines a kernel by its name, its features and the intrinsic for `vpdpbusd`. A macro, since features are attributes:
/// a generic function would be compiled without them.
macro_rules! kernel {
    ($(#[$doc:meta])* $name:ident, $enabled:literal, [$($feature:tt),+], $dpbusd:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) struct $name(());

        impl $name {
            /// Returns the kernel if the processor has its instructions.
            pub(crate) fn detect() -> Option<Self> {
                let has_all = $(is_x86_feature_detected!($feature))&&+;
                has_all.then_some(Self(()))
            }
        }

        impl TileKernel for $name {
            fn quantize(self, block: impl Fn(usize) -> [f32; BLOCK], out: &mut [ActivationBlock]) {
                #[target_feature(enable = $enabled)]
                fn enabled(block: impl Fn(usize) -> [f32; BLOCK], out: &mut [ActivationBlock]) {
                    quantize_blocks(block, out);
                }
                // SAFETY: `self` was detected, so the processor has the instructions.
                unsafe { enabled(block, out) }
            }

            fn four_bits<G: FourBitGroup, const T: usize>(
                self,
                group: &[G],
                rows: [&[ActivationBlock]; T],
            ) -> [[f32; GROUP_ROWS]; T] {
                /// Without minimums, sums start with the correction for subtracting 8 from every quant.
                #[target_feature(enable = $enabled)]
                fn enabled<G: FourBitGroup, const T: usize>(
                    group: &[G],
                    rows: [&[ActivationBlock]; T],
                ) -> [[f32; GROUP_ROWS]; T] {
                    let mut sums = [_mm256_setzero_ps(); T];
                    for (block_idx, weights) in group.iter().enumerate() {
                        let offset = if weights.mins().is_some() { 0 } else { -8 };
                        let mut dots = rows.map(|row| _mm256_set1_epi32(offset * row[block_idx].sum));
                        for (word, quants) in weights.quants().iter().enumerate() {
                            let (low, high) = nibbles(load_bytes(quants));
                            for t in 0..T {
                                let block = &rows[t][block_idx];
                                dots[t] = $dpbusd(dots[t], low, four_columns(block, word));
                                dots[t] = $dpbusd(dots[t], high, four_columns(block, word + BLOCK / 2 / WORD));
                            }
                        }
                        let scales = load_f16(weights.scales());
                        for t in 0..T {
                            sums[t] = add_dots(sums[t], scales, &rows[t][block_idx], dots[t]);
                        }
                        if let Some(mins) = weights.mins() {
                            let mins = load_f16(mins);
                            for t in 0..T {
                                let scaled_sum = _mm256_set1_ps(rows[t][block_idx].scaled_sum);
                                sums[t] = _mm256_fmadd_ps(mins, scaled_sum, sums[t]);
                            }
                        }
                    }
                    store_sums(sums)
                }
                // SAFETY: `self` was detected, so the processor has the instructions.
                unsafe { enabled(group, rows) }
            }

            fn eight_bits<const T: usize>(
                self,
                group: &[Q8_0Group],
                rows: [&[ActivationBlock]; T],
            ) -> [[f32; GROUP_ROWS]; T] {
                /// One factor is unsigned: 128 is added to the weights by flipping a bit, and sums start with the
                /// correction for that.
                #[target_feature(enable = $enabled)]
                fn enabled<const T: usize>(
                    group: &[Q8_0Group],
                    rows: [&[ActivationBlock]; T],
                ) -> [[f32; GROUP_ROWS]; T] {
                    let mut sums = [_mm256_setzero_ps(); T];
                    for (block_idx, weights) in group.iter().enumerate() {
                        let mut dots = rows.map(|row| _mm256_set1_epi32(-128 * row[block_idx].sum));
                        for (word, quants) in weights.quants.iter().enumerate() {
                            let unsigned = _mm256_xor_si256(load_bytes(quants), _mm256_set1_epi8(-128));
                            for t in 0..T {
                                dots[t] = $dpbusd(dots[t], unsigned, four_columns(&rows[t][block_idx], word));
                            }
                        }
                        let scales = load_f16(&weights.scales);
                        for t in 0..T {
                            sums[t] = add_dots(sums[t], scales, &rows[t][block_idx], dots[t]);
                        }
                    }
                    store_sums(sums)
                }
                // SAFETY: `self` was detected, so the processor has the instructions.
                unsafe { enabled(group, rows) }
            }
        }
    };
}

kernel! {
    /// Proof that the processor has AVX-512 VNNI, also for 256 bits: only `detect` creates one.
    Avx512Vnni,
    "avx2,fma,f16c,avx512f,avx512vl,avx512vnni",
    ["avx2", "fma", "f16c", "avx512f", "avx512vl", "avx512vnni"],
    _mm256_dpbusd_epi32
}

kernel! {
    /// Proof that the processor has AVX-VNNI: only `detect` creates one.
    AvxVnni,
    "avx2,fma,f16c,avxvnni",
    ["avx2", "fma", "f16c", "avxvnni"],
    _mm256_dpbusd_avx_epi32
}
