//! The kernel for processors without one of their own, and the reference for the others.
//!
//! Its loops run over whole arrays, so that the compiler can use the vectors of any processor.

use half::f16;

use super::lanes::Simd;
use crate::layout::LANES;

/// The kernel in plain Rust.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Portable;

type Eight = [f32; LANES];

impl Simd for Portable {
    type Lanes = Eight;

    #[inline(always)]
    fn prefetch(self, _: &[f16]) {}

    #[inline(always)]
    fn splat(self, value: f32) -> Eight {
        [value; LANES]
    }

    #[inline(always)]
    fn load(self, values: &Eight) -> Eight {
        *values
    }

    #[inline(always)]
    fn load_f16(self, values: &[f16; LANES]) -> Eight {
        values.map(f16::to_f32)
    }

    #[inline(always)]
    fn store(self, lanes: Eight, out: &mut Eight) {
        *out = lanes;
    }

    #[inline(always)]
    fn store_f16(self, lanes: Eight, out: &mut [f16; LANES]) {
        *out = lanes.map(f16::from_f32);
    }

    #[inline(always)]
    fn add(self, a: Eight, b: Eight) -> Eight {
        std::array::from_fn(|i| a[i] + b[i])
    }

    #[inline(always)]
    fn sub(self, a: Eight, b: Eight) -> Eight {
        std::array::from_fn(|i| a[i] - b[i])
    }

    #[inline(always)]
    fn mul(self, a: Eight, b: Eight) -> Eight {
        std::array::from_fn(|i| a[i] * b[i])
    }

    #[inline(always)]
    fn fma(self, a: Eight, b: Eight, c: Eight) -> Eight {
        std::array::from_fn(|i| a[i].mul_add(b[i], c[i]))
    }

    #[inline(always)]
    fn max(self, a: Eight, b: Eight) -> Eight {
        std::array::from_fn(|i| if a[i] > b[i] { a[i] } else { b[i] })
    }

    #[inline(always)]
    fn min(self, a: Eight, b: Eight) -> Eight {
        std::array::from_fn(|i| if a[i] < b[i] { a[i] } else { b[i] })
    }

    #[inline(always)]
    fn round_ties_even(self, a: Eight) -> Eight {
        a.map(f32::round_ties_even)
    }

    #[inline(always)]
    fn power_of_two(self, a: Eight) -> Eight {
        a.map(|a| f32::from_bits((a as i32 + 127).cast_unsigned() << 23))
    }

    #[inline(always)]
    fn zero_below(self, value: Eight, a: Eight, limit: Eight) -> Eight {
        std::array::from_fn(|i| if a[i] < limit[i] { 0.0 } else { value[i] })
    }

    #[inline(always)]
    fn select_range(self, lanes: Eight, from: i32, to: i32, outside: Eight) -> Eight {
        std::array::from_fn(|i| {
            if (from..to).contains(&(i as i32)) {
                lanes[i]
            } else {
                outside[i]
            }
        })
    }
}
