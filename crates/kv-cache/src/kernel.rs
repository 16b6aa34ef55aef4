//! Which instructions compute: chosen once, at run time, by what the processor has.
//!
//! The formulas are written once, in [`softmax`], over eight lanes; a kernel says what a lane's operation is. Every operation is
//! one that IEEE 754 defines to the last bit, so that kernels differ in speed alone.

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

pub(crate) use lanes::LANES;
pub(crate) use softmax::{PageStep, Partial, TILE};

/// The instructions that attention is computed with.
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
    /// The fastest that this processor can run.
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

    /// Plain Rust, for every processor.
    #[must_use]
    pub const fn portable() -> Self {
        Self(Instructions::Portable(Portable))
    }

    /// Lets every query read one page.
    pub(crate) fn add_page(self, step: &PageStep<'_>, partial: &mut Partial) {
        match self.0 {
            Instructions::Portable(portable) => softmax::add_page(portable, step, partial),
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx2(avx2) => avx2.add_page(step, partial),
            #[cfg(all(target_arch = "aarch64", target_endian = "little", target_feature = "neon"))]
            Instructions::Neon(neon) => softmax::add_page(neon, step, partial),
        }
    }

    /// Adds what later keys gave to what earlier ones gave.
    pub(crate) fn merge(self, total: &mut Partial, part: &Partial) {
        match self.0 {
            Instructions::Portable(portable) => softmax::merge(portable, total, part),
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx2(avx2) => avx2.merge(total, part),
            #[cfg(all(target_arch = "aarch64", target_endian = "little", target_feature = "neon"))]
            Instructions::Neon(neon) => softmax::merge(neon, total, part),
        }
    }

    /// Rounds to the nearest half, ties to even; what a half can't hold, and what is no number, becomes its largest number, so
    /// that what is stored is always finite.
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
