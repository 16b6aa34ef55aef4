//! Eight numbers at a time, and the operations on them.
//!
//! All functions here are always inlined into the function that enables the instructions, and they use no closures: a
//! call in between would be compiled without the instructions.

use half::f16;

use crate::layout::LANES;

/// Powers of two below this exponent count as 0: they are too small to affect any sum, and so no result is denormal.
const MIN_EXPONENT: f32 = -125.0;

/// Taylor coefficients of `2^r`, `ln(2)^k / k!` from `k = 6` down to 0. Over `-0.5..=0.5` the relative error is 1.2e-7.
const EXP2_COEFFICIENTS: [f32; 7] = [
    1.540_353_e-4,
    1.333_355_8e-3,
    9.618_129_e-3,
    5.550_411e-2,
    0.240_226_5,
    std::f32::consts::LN_2,
    1.0,
];

/// The operations on eight lanes. A value of an implementing type proves that the processor supports them.
pub(crate) trait Simd: Copy {
    /// Eight lanes of f32.
    type Lanes: Copy;

    /// Starts to fetch data that will be read soon.
    fn prefetch(self, soon: &[f16]);
    fn splat(self, value: f32) -> Self::Lanes;
    fn load(self, values: &[f32; LANES]) -> Self::Lanes;
    fn load_f16(self, values: &[f16; LANES]) -> Self::Lanes;
    fn store(self, lanes: Self::Lanes, out: &mut [f32; LANES]);
    /// Rounds to the nearest, ties to even.
    fn store_f16(self, lanes: Self::Lanes, out: &mut [f16; LANES]);
    fn add(self, a: Self::Lanes, b: Self::Lanes) -> Self::Lanes;
    fn sub(self, a: Self::Lanes, b: Self::Lanes) -> Self::Lanes;
    fn mul(self, a: Self::Lanes, b: Self::Lanes) -> Self::Lanes;
    /// Computes `a * b + c` with one rounding.
    fn fma(self, a: Self::Lanes, b: Self::Lanes, c: Self::Lanes) -> Self::Lanes;
    /// Returns `a` if it is greater than `b`, otherwise `b`; so `b` if one of them is NaN.
    fn max(self, a: Self::Lanes, b: Self::Lanes) -> Self::Lanes;
    /// Returns `a` if it is less than `b`, otherwise `b`.
    fn min(self, a: Self::Lanes, b: Self::Lanes) -> Self::Lanes;
    /// Rounds to the nearest integers, ties to even.
    fn round_ties_even(self, a: Self::Lanes) -> Self::Lanes;
    /// Computes `2^a` for integers from -126 to 127.
    fn power_of_two(self, a: Self::Lanes) -> Self::Lanes;
    /// Returns 0 where `a` is less than `limit`, otherwise `value`.
    fn zero_below(self, value: Self::Lanes, a: Self::Lanes, limit: Self::Lanes) -> Self::Lanes;
    /// Returns `lanes` from lane `from` to before lane `to`, and `outside` elsewhere; both bounds may lie beyond the
    /// eight lanes.
    fn select_range(self, lanes: Self::Lanes, from: i32, to: i32, outside: Self::Lanes) -> Self::Lanes;
}

/// Computes `2^x` for `x ≤ 0` with a relative error of at most 2e-7; exactly 1 for 0, exactly 0 for very small `x` and
/// for minus infinity.
#[inline(always)]
pub(super) fn exp2<S: Simd>(simd: S, x: S::Lanes) -> S::Lanes {
    let min = simd.splat(MIN_EXPONENT);
    let clamped = simd.max(min, x);
    let whole = simd.round_ties_even(clamped);
    let rest = simd.sub(clamped, whole);
    let mut sum = simd.splat(EXP2_COEFFICIENTS[0]);
    for coefficient in &EXP2_COEFFICIENTS[1..] {
        sum = simd.fma(sum, rest, simd.splat(*coefficient));
    }
    let power = simd.mul(sum, simd.power_of_two(whole));
    simd.zero_below(power, x, min)
}

/// Implements [`Kernel::round`](super::Kernel::round).
#[inline(always)]
pub(super) fn round<S: Simd>(simd: S, values: &[[f32; LANES]], out: &mut [[f16; LANES]]) {
    let max = simd.splat(f16::MAX.to_f32_const());
    let min = simd.splat(f16::MIN.to_f32_const());
    for (values, out) in values.iter().zip(out) {
        let values = simd.load(values);
        // In this order of operations, NaN becomes the max number.
        simd.store_f16(simd.max(simd.min(values, max), min), out);
    }
}
