//! Selects the instructions for attention: once, at run time, from what the processor supports.
//!
//! The formulas are written once, in [`softmax`], over eight lanes; a kernel implements the operations on lanes. IEEE
//! 754 defines each of these operations to the last bit, so that kernels differ in speed only.

#[cfg(target_arch = "x86_64")]
mod avx2;
mod lanes;
#[cfg(all(target_arch = "aarch64", target_endian = "little", target_feature = "neon"))]
mod neon;
mod portable;
mod softmax;

use std::fmt;

use half::f16;

#[cfg(target_arch = "x86_64")]
use avx2::Avx2;
#[cfg(all(target_arch = "aarch64", target_endian = "little", target_feature = "neon"))]
use neon::Neon;
use portable::Portable;

use crate::layout::LANES;

pub(crate) use softmax::{PageStep, PartialSums};

/// The instructions with which attention is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kernel(Instructions);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Instructions {
    Portable(Portable),
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    #[cfg(all(target_arch = "aarch64", target_endian = "little", target_feature = "neon"))]
    Neon(Neon),
}

impl Kernel {
    /// Returns the fastest kernel that this processor supports.
    #[must_use]
    pub fn detect() -> Self {
        let own: [Option<Instructions>; _] = [
            #[cfg(target_arch = "x86_64")]
            Avx2::detect().map(Instructions::Avx2),
            #[cfg(all(target_arch = "aarch64", target_endian = "little", target_feature = "neon"))]
            Some(Instructions::Neon(Neon)),
        ];
        own.into_iter().flatten().next().map_or(Self::portable(), Self)
    }

    /// Returns the kernel in plain Rust, which runs on every processor.
    #[must_use]
    pub const fn portable() -> Self {
        Self(Instructions::Portable(Portable))
    }

    /// Adds one page of keys and values to the sums of every query.
    pub(crate) fn add_page(self, step: &PageStep<'_>, partial: &mut PartialSums) {
        match self.0 {
            Instructions::Portable(portable) => softmax::add_page(portable, step, partial),
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx2(avx2) => avx2.add_page(step, partial),
            #[cfg(all(target_arch = "aarch64", target_endian = "little", target_feature = "neon"))]
            Instructions::Neon(neon) => softmax::add_page(neon, step, partial),
        }
    }

    /// Adds the sums over later keys to those over earlier ones.
    pub(crate) fn merge(self, total: &mut PartialSums, part: &PartialSums) {
        match self.0 {
            Instructions::Portable(portable) => softmax::merge(portable, total, part),
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx2(avx2) => avx2.merge(total, part),
            #[cfg(all(target_arch = "aarch64", target_endian = "little", target_feature = "neon"))]
            Instructions::Neon(neon) => softmax::merge(neon, total, part),
        }
    }

    /// Rounds to the nearest f16, ties to even. Values beyond the range of an f16, and NaN, become its largest number,
    /// so that all stored numbers are finite.
    pub(crate) fn round(self, values: &[[f32; LANES]], out: &mut [[f16; LANES]]) {
        match self.0 {
            Instructions::Portable(portable) => lanes::round(portable, values, out),
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx2(avx2) => avx2.round(values, out),
            #[cfg(all(target_arch = "aarch64", target_endian = "little", target_feature = "neon"))]
            Instructions::Neon(neon) => lanes::round(neon, values, out),
        }
    }
}

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Instructions::Portable(_) => "portable",
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx2(_) => "AVX2",
            #[cfg(all(target_arch = "aarch64", target_endian = "little", target_feature = "neon"))]
            Instructions::Neon(_) => "NEON",
        })
    }
}
