//! The kernel for x86-64 processors with AVX2, FMA and F16C: nearly all since 2013.
#![expect(
    unsafe_code,
    reason = "the compiler can't know that a processor has these instructions, nor check a load by pointer"
)]

use std::arch::x86_64::{
    __m256, _CMP_LT_OQ, _MM_FROUND_NO_EXC, _MM_FROUND_TO_NEAREST_INT, _MM_HINT_T0, _mm_loadu_si128, _mm_prefetch,
    _mm_storeu_si128, _mm256_add_epi32, _mm256_add_ps, _mm256_and_si256, _mm256_andnot_ps, _mm256_blendv_ps,
    _mm256_castsi256_ps, _mm256_cmp_ps, _mm256_cmpgt_epi32, _mm256_cvtph_ps, _mm256_cvtps_epi32, _mm256_cvtps_ph,
    _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_max_ps, _mm256_min_ps, _mm256_mul_ps, _mm256_round_ps, _mm256_set1_epi32,
    _mm256_set1_ps, _mm256_setr_epi32, _mm256_slli_epi32, _mm256_storeu_ps, _mm256_sub_ps,
};

use half::f16;

use super::lanes::{self, Simd};
use super::softmax::{self, PageStep, PartialSums};
use crate::layout::LANES;

/// Proof that the processor has AVX2, FMA and F16C: only [`Avx2::detect`] creates one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Avx2(());

impl Avx2 {
    /// Returns the kernel if the processor has its instructions.
    pub(super) fn detect() -> Option<Self> {
        let has_all =
            is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("f16c");
        has_all.then_some(Self(()))
    }

    pub(super) fn add_page(self, step: &PageStep<'_>, partial: &mut PartialSums) {
        #[target_feature(enable = "avx2,fma,f16c")]
        fn enabled(simd: Avx2, step: &PageStep<'_>, partial: &mut PartialSums) {
            softmax::add_page(simd, step, partial);
        }
        // SAFETY: `self` was detected, so the processor has the instructions.
        unsafe { enabled(self, step, partial) }
    }

    pub(super) fn merge(self, total: &mut PartialSums, part: &PartialSums) {
        #[target_feature(enable = "avx2,fma,f16c")]
        fn enabled(simd: Avx2, total: &mut PartialSums, part: &PartialSums) {
            softmax::merge(simd, total, part);
        }
        // SAFETY: `self` was detected, so the processor has the instructions.
        unsafe { enabled(self, total, part) }
    }

    pub(super) fn round(self, values: &[[f32; LANES]], out: &mut [[f16; LANES]]) {
        #[target_feature(enable = "avx2,fma,f16c")]
        fn enabled(simd: Avx2, values: &[[f32; LANES]], out: &mut [[f16; LANES]]) {
            lanes::round(simd, values, out);
        }
        // SAFETY: `self` was detected, so the processor has the instructions.
        unsafe { enabled(self, values, out) }
    }
}

impl Simd for Avx2 {
    type Lanes = __m256;

    #[inline(always)]
    fn prefetch(self, soon: &[f16]) {
        // SAFETY: a prefetch only affects the processor's caches, whatever the address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(soon.as_ptr().cast()) }
    }

    #[inline(always)]
    fn splat(self, value: f32) -> __m256 {
        // SAFETY: `self` was detected, so the processor has the instruction.
        unsafe { _mm256_set1_ps(value) }
    }

    #[inline(always)]
    fn load(self, values: &[f32; LANES]) -> __m256 {
        // SAFETY: `self` was detected; eight f32 are 32 bytes, and the load needs no alignment.
        unsafe { _mm256_loadu_ps(values.as_ptr()) }
    }

    #[inline(always)]
    fn load_f16(self, values: &[f16; LANES]) -> __m256 {
        // SAFETY: `self` was detected; eight f16 are 16 bytes, and the load needs no alignment.
        unsafe { _mm256_cvtph_ps(_mm_loadu_si128(values.as_ptr().cast())) }
    }

    #[inline(always)]
    fn store(self, lanes: __m256, out: &mut [f32; LANES]) {
        // SAFETY: `self` was detected; eight f32 are 32 bytes, and the store needs no alignment.
        unsafe { _mm256_storeu_ps(out.as_mut_ptr(), lanes) }
    }

    #[inline(always)]
    fn store_f16(self, lanes: __m256, out: &mut [f16; LANES]) {
        // SAFETY: `self` was detected; eight f16 are 16 bytes, and the store needs no alignment.
        unsafe {
            let halves = _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(lanes);
            _mm_storeu_si128(out.as_mut_ptr().cast(), halves);
        }
    }

    #[inline(always)]
    fn add(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: `self` was detected, so the processor has the instruction.
        unsafe { _mm256_add_ps(a, b) }
    }

    #[inline(always)]
    fn sub(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: `self` was detected, so the processor has the instruction.
        unsafe { _mm256_sub_ps(a, b) }
    }

    #[inline(always)]
    fn mul(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: `self` was detected, so the processor has the instruction.
        unsafe { _mm256_mul_ps(a, b) }
    }

    #[inline(always)]
    fn fma(self, a: __m256, b: __m256, c: __m256) -> __m256 {
        // SAFETY: `self` was detected, so the processor has the instruction.
        unsafe { _mm256_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    fn max(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: `self` was detected, so the processor has the instruction.
        unsafe { _mm256_max_ps(a, b) }
    }

    #[inline(always)]
    fn min(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: `self` was detected, so the processor has the instruction.
        unsafe { _mm256_min_ps(a, b) }
    }

    #[inline(always)]
    fn round_ties_even(self, a: __m256) -> __m256 {
        // SAFETY: `self` was detected, so the processor has the instruction.
        unsafe { _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(a) }
    }

    #[inline(always)]
    fn power_of_two(self, a: __m256) -> __m256 {
        // SAFETY: `self` was detected, so the processor has the instructions.
        unsafe {
            let exponent = _mm256_add_epi32(_mm256_cvtps_epi32(a), _mm256_set1_epi32(127));
            _mm256_castsi256_ps(_mm256_slli_epi32::<23>(exponent))
        }
    }

    #[inline(always)]
    fn zero_below(self, value: __m256, a: __m256, limit: __m256) -> __m256 {
        // SAFETY: `self` was detected, so the processor has the instructions.
        unsafe { _mm256_andnot_ps(_mm256_cmp_ps::<_CMP_LT_OQ>(a, limit), value) }
    }

    #[inline(always)]
    fn select_range(self, lanes: __m256, from: i32, to: i32, outside: __m256) -> __m256 {
        // SAFETY: `self` was detected, so the processor has the instructions.
        unsafe {
            let lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
            let is_after = _mm256_cmpgt_epi32(lane, _mm256_set1_epi32(from - 1));
            let is_before = _mm256_cmpgt_epi32(_mm256_set1_epi32(to), lane);
            let inside = _mm256_castsi256_ps(_mm256_and_si256(is_after, is_before));
            _mm256_blendv_ps(outside, lanes, inside)
        }
    }
}
