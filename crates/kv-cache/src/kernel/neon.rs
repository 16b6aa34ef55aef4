//! The kernel for 64-bit ARM processors: eight lanes are two registers.
//!
//! Every such processor has these instructions, so nothing is detected at run time.
#![expect(
    unsafe_code,
    reason = "the compiler asks for a proof of instructions that are there, and can't check a load by pointer"
)]

use std::arch::aarch64::{
    float32x4_t, vaddq_f32, vaddq_s32, vandq_u32, vbslq_f32, vcgeq_s32, vcgtq_f32, vcltq_f32, vcltq_s32, vcvt_f16_f32,
    vcvt_f32_f16, vcvtq_s32_f32, vdupq_n_f32, vdupq_n_s32, vfmaq_f32, vld1_u16, vld1q_f32, vld1q_s32, vmulq_f32,
    vreinterpret_f16_u16, vreinterpret_u16_f16, vreinterpretq_f32_s32, vrndnq_f32, vshlq_n_s32, vst1_u16, vst1q_f32,
    vsubq_f32,
};

use half::f16;

use super::lanes::Simd;
use crate::layout::LANES;

/// NEON, in its first version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Neon;

type Eight = [float32x4_t; 2];

impl Simd for Neon {
    type Lanes = Eight;

    /// Does nothing: which hints would help is unknown until it can be measured on such a processor.
    #[inline(always)]
    fn prefetch(self, _: &[f16]) {}

    #[inline(always)]
    fn splat(self, value: f32) -> Eight {
        // SAFETY: this is compiled for processors with NEON only.
        unsafe { [vdupq_n_f32(value); 2] }
    }

    #[inline(always)]
    fn load(self, values: &[f32; LANES]) -> Eight {
        // SAFETY: this is compiled for processors with NEON only; each half of the array has four f32.
        unsafe {
            let (fours, _) = values.as_chunks::<4>();
            [vld1q_f32(fours[0].as_ptr()), vld1q_f32(fours[1].as_ptr())]
        }
    }

    #[inline(always)]
    fn load_f16(self, values: &[f16; LANES]) -> Eight {
        // SAFETY: this is compiled for processors with NEON only; each half of the array has four f16, as large as
        // `u16`.
        unsafe {
            let (fours, _) = values.as_chunks::<4>();
            let [low, high] = [vld1_u16(fours[0].as_ptr().cast()), vld1_u16(fours[1].as_ptr().cast())];
            [
                vcvt_f32_f16(vreinterpret_f16_u16(low)),
                vcvt_f32_f16(vreinterpret_f16_u16(high)),
            ]
        }
    }

    #[inline(always)]
    fn store(self, lanes: Eight, out: &mut [f32; LANES]) {
        // SAFETY: this is compiled for processors with NEON only; each half of the array has four f32.
        unsafe {
            let (fours, _) = out.as_chunks_mut::<4>();
            vst1q_f32(fours[0].as_mut_ptr(), lanes[0]);
            vst1q_f32(fours[1].as_mut_ptr(), lanes[1]);
        }
    }

    #[inline(always)]
    fn store_f16(self, lanes: Eight, out: &mut [f16; LANES]) {
        // SAFETY: this is compiled for processors with NEON only; each half of the array has four f16, as large as
        // `u16`.
        unsafe {
            let (fours, _) = out.as_chunks_mut::<4>();
            vst1_u16(
                fours[0].as_mut_ptr().cast(),
                vreinterpret_u16_f16(vcvt_f16_f32(lanes[0])),
            );
            vst1_u16(
                fours[1].as_mut_ptr().cast(),
                vreinterpret_u16_f16(vcvt_f16_f32(lanes[1])),
            );
        }
    }

    #[inline(always)]
    fn add(self, a: Eight, b: Eight) -> Eight {
        // SAFETY: this is compiled for processors with NEON only.
        unsafe { [vaddq_f32(a[0], b[0]), vaddq_f32(a[1], b[1])] }
    }

    #[inline(always)]
    fn sub(self, a: Eight, b: Eight) -> Eight {
        // SAFETY: this is compiled for processors with NEON only.
        unsafe { [vsubq_f32(a[0], b[0]), vsubq_f32(a[1], b[1])] }
    }

    #[inline(always)]
    fn mul(self, a: Eight, b: Eight) -> Eight {
        // SAFETY: this is compiled for processors with NEON only.
        unsafe { [vmulq_f32(a[0], b[0]), vmulq_f32(a[1], b[1])] }
    }

    #[inline(always)]
    fn fma(self, a: Eight, b: Eight, c: Eight) -> Eight {
        // SAFETY: this is compiled for processors with NEON only.
        unsafe { [vfmaq_f32(c[0], a[0], b[0]), vfmaq_f32(c[1], a[1], b[1])] }
    }

    /// Compares and selects, since `fmax` treats NaN differently.
    #[inline(always)]
    fn max(self, a: Eight, b: Eight) -> Eight {
        // SAFETY: this is compiled for processors with NEON only.
        unsafe {
            [
                vbslq_f32(vcgtq_f32(a[0], b[0]), a[0], b[0]),
                vbslq_f32(vcgtq_f32(a[1], b[1]), a[1], b[1]),
            ]
        }
    }

    #[inline(always)]
    fn min(self, a: Eight, b: Eight) -> Eight {
        // SAFETY: this is compiled for processors with NEON only.
        unsafe {
            [
                vbslq_f32(vcltq_f32(a[0], b[0]), a[0], b[0]),
                vbslq_f32(vcltq_f32(a[1], b[1]), a[1], b[1]),
            ]
        }
    }

    #[inline(always)]
    fn round_ties_even(self, a: Eight) -> Eight {
        // SAFETY: this is compiled for processors with NEON only.
        unsafe { [vrndnq_f32(a[0]), vrndnq_f32(a[1])] }
    }

    #[inline(always)]
    fn power_of_two(self, a: Eight) -> Eight {
        // SAFETY: this is compiled for processors with NEON only.
        unsafe {
            let bias = vdupq_n_s32(127);
            let [low, high] = [
                vaddq_s32(vcvtq_s32_f32(a[0]), bias),
                vaddq_s32(vcvtq_s32_f32(a[1]), bias),
            ];
            [
                vreinterpretq_f32_s32(vshlq_n_s32::<23>(low)),
                vreinterpretq_f32_s32(vshlq_n_s32::<23>(high)),
            ]
        }
    }

    #[inline(always)]
    fn zero_below(self, value: Eight, a: Eight, limit: Eight) -> Eight {
        // SAFETY: this is compiled for processors with NEON only.
        unsafe {
            let zero = vdupq_n_f32(0.0);
            [
                vbslq_f32(vcltq_f32(a[0], limit[0]), zero, value[0]),
                vbslq_f32(vcltq_f32(a[1], limit[1]), zero, value[1]),
            ]
        }
    }

    #[inline(always)]
    fn select_range(self, lanes: Eight, from: i32, to: i32, outside: Eight) -> Eight {
        // SAFETY: this is compiled for processors with NEON only; the loaded array has four numbers.
        unsafe {
            let (from, to) = (vdupq_n_s32(from), vdupq_n_s32(to));
            let low = vld1q_s32([0, 1, 2, 3].as_ptr());
            let high = vaddq_s32(low, vdupq_n_s32(4));
            let in_low = vandq_u32(vcgeq_s32(low, from), vcltq_s32(low, to));
            let in_high = vandq_u32(vcgeq_s32(high, from), vcltq_s32(high, to));
            [
                vbslq_f32(in_low, lanes[0], outside[0]),
                vbslq_f32(in_high, lanes[1], outside[1]),
            ]
        }
    }
}
