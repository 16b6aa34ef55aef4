//! Eight numbers at a time, and what can be done with them.
//!
//! Functions here are always inlined, down to the one that the instructions are enabled for, and use no closures: a call in
//! between would be compiled without the instructions.

use half::f16;

/// Numbers that are computed with at once; also on a processor that takes fewer.
pub(crate) const LANES: usize = 8;

/// Below this, a power of two counts as 0: it is smaller than anything that still counts, and none of the results is denormal.
const LEAST_EXPONENT: f32 = -125.0;

/// The Taylor series of `2^r`, `ln(2)^k / k!` from `k = 6` down to 0; over `-0.5..=0.5` it is off by 1.2e-7 of the value.
const SERIES: [f32; 7] = [
    1.540_353_e-4,
    1.333_355_8e-3,
    9.618_129_e-3,
    5.550_411e-2,
    0.240_226_5,
    std::f32::consts::LN_2,
    1.0,
];

/// The operations of eight lanes. A value of a type that implements this is a proof that the processor can do them.
pub(crate) trait Simd: Copy {
    /// Eight lanes.
    type Lanes: Copy;

    /// Begins to fetch what will be read soon.
    fn prefetch(self, soon: &[f16]);
    fn splat(self, value: f32) -> Self::Lanes;
    fn load(self, values: &[f32; LANES]) -> Self::Lanes;
    fn load_halves(self, values: &[f16; LANES]) -> Self::Lanes;
    fn store(self, lanes: Self::Lanes, out: &mut [f32; LANES]);
    /// Rounds to the nearest, ties to even.
    fn store_halves(self, lanes: Self::Lanes, out: &mut [f16; LANES]);
    fn add(self, a: Self::Lanes, b: Self::Lanes) -> Self::Lanes;
    fn sub(self, a: Self::Lanes, b: Self::Lanes) -> Self::Lanes;
    fn mul(self, a: Self::Lanes, b: Self::Lanes) -> Self::Lanes;
    /// `a * b + c`, rounded once.
    fn fma(self, a: Self::Lanes, b: Self::Lanes, c: Self::Lanes) -> Self::Lanes;
    /// `a` where it is more than `b`, else `b`; so also where one of them is no number.
    fn max(self, a: Self::Lanes, b: Self::Lanes) -> Self::Lanes;
    /// `a` where it is less than `b`, else `b`.
    fn min(self, a: Self::Lanes, b: Self::Lanes) -> Self::Lanes;
    /// The nearest whole numbers, ties to even.
    fn whole(self, a: Self::Lanes) -> Self::Lanes;
    /// `2^a` of whole numbers from -126 to 127.
    fn power_of_two(self, a: Self::Lanes) -> Self::Lanes;
    /// 0 where `a` is less than `limit`, else `value`.
    fn zero_below(self, value: Self::Lanes, a: Self::Lanes, limit: Self::Lanes) -> Self::Lanes;
    /// `lanes` from lane `from` to before lane `to`, and `outside` elsewhere; both may lie outside of the eight.
    fn within(self, lanes: Self::Lanes, from: i32, to: i32, outside: Self::Lanes) -> Self::Lanes;
}

/// `2^x` for `x ≤ 0`, off by at most 2e-7 of the value; exactly 1 for 0, exactly 0 far below and for minus infinity.
#[inline(always)]
pub(super) fn exp2<S: Simd>(simd: S, x: S::Lanes) -> S::Lanes {
    let least = simd.splat(LEAST_EXPONENT);
    let in_range = simd.max(least, x);
    let whole = simd.whole(in_range);
    let rest = simd.sub(in_range, whole);
    let mut sum = simd.splat(SERIES[0]);
    for coefficient in &SERIES[1..] {
        sum = simd.fma(sum, rest, simd.splat(*coefficient));
    }
    let power = simd.mul(sum, simd.power_of_two(whole));
    simd.zero_below(power, x, least)
}

/// See [`Kernel::round`](super::Kernel::round).
#[inline(always)]
pub(super) fn round<S: Simd>(simd: S, values: &[[f32; LANES]], out: &mut [[f16; LANES]]) {
    let largest = simd.splat(f16::MAX.to_f32_const());
    let least = simd.splat(f16::MIN.to_f32_const());
    for (values, out) in values.iter().zip(out) {
        let values = simd.load(values);
        // In this order, what is no number becomes the largest.
        simd.store_halves(simd.max(simd.min(values, largest), least), out);
    }
}
