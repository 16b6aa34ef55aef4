//! Which instructions compute: chosen once, at run time, by what the processor has.
//!
//! Every kernel adds up an output in the same order and with the same roundings, alone or in a tile: which one computes is a
//! matter of speed alone.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(all(target_arch = "aarch64", target_endian = "little"))]
mod neon;
mod portable;
#[cfg(target_arch = "x86_64")]
mod vnni;

use std::fmt;

use crate::activations::{ActivationBlock, PANEL_ROWS, Panel};
use crate::dequantize::BLOCK;
use crate::matrix::{FourBitGroup, GROUP_ROWS, Q8_0Group};

#[cfg(target_arch = "x86_64")]
use avx2::Avx2;
#[cfg(all(target_arch = "aarch64", target_endian = "little"))]
use neon::NeonDotprod;
use portable::Portable;
#[cfg(target_arch = "x86_64")]
use vnni::{Avx512Vnni, AvxVnni};

/// The instructions that products are computed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kernel(Instructions);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Instructions {
    Portable(Portable),
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    #[cfg(target_arch = "x86_64")]
    AvxVnni(AvxVnni),
    #[cfg(target_arch = "x86_64")]
    Avx512Vnni(Avx512Vnni),
    #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
    NeonDotprod(NeonDotprod),
}

impl Kernel {
    /// The fastest that this processor can run.
    #[must_use]
    pub fn detect() -> Self {
        Self::available().next().unwrap_or(Self::portable())
    }

    /// All that this processor can run, the fastest first; the last is [`Kernel::portable`].
    pub fn available() -> impl Iterator<Item = Self> {
        let own: [Option<Instructions>; _] = [
            #[cfg(target_arch = "x86_64")]
            Avx512Vnni::detect().map(Instructions::Avx512Vnni),
            #[cfg(target_arch = "x86_64")]
            AvxVnni::detect().map(Instructions::AvxVnni),
            #[cfg(target_arch = "x86_64")]
            Avx2::detect().map(Instructions::Avx2),
            #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
            NeonDotprod::detect().map(Instructions::NeonDotprod),
        ];
        own.into_iter().flatten().map(Self).chain([Self::portable()])
    }

    /// Plain Rust, for every processor.
    #[must_use]
    pub const fn portable() -> Self {
        Self(Instructions::Portable(Portable))
    }

    /// Whether it multiplies many rows of activations at once, and wants them in panels for that.
    pub(crate) const fn takes_panels(self) -> bool {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx2(_) => true,
            #[cfg(target_arch = "x86_64")]
            Instructions::AvxVnni(_) | Instructions::Avx512Vnni(_) => false,
            #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
            Instructions::NeonDotprod(_) => false,
            Instructions::Portable(_) => false,
        }
    }

    /// Does some work with these instructions.
    pub(crate) fn run(self, work: impl Work) {
        match self.0 {
            Instructions::Portable(kernel) => work.with(kernel),
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx2(kernel) => work.with(kernel),
            #[cfg(target_arch = "x86_64")]
            Instructions::AvxVnni(kernel) => work.with(kernel),
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx512Vnni(kernel) => work.with(kernel),
            #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
            Instructions::NeonDotprod(kernel) => work.with(kernel),
        }
    }
}

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Instructions::Portable(_) => "portable",
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx2(_) => "AVX2",
            #[cfg(target_arch = "x86_64")]
            Instructions::AvxVnni(_) => "AVX-VNNI",
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx512Vnni(_) => "AVX-512 VNNI",
            #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
            Instructions::NeonDotprod(_) => "NEON dotprod",
        })
    }
}

/// The outputs of a group of rows for each row of a panel.
pub(crate) type PanelOutputs = [[f32; GROUP_ROWS]; PANEL_ROWS];

/// What is done with whichever kernel was chosen.
pub(crate) trait Work {
    fn with(self, kernel: impl Tiles);
}

/// What a kernel computes: eight outputs for each of `T` rows of activations, from one group of rows.
///
/// Output by output, with `w` the group's block and `a` the row's, in the order of the columns and from 0:
/// `acc = fma(w.scale * a.scale, Σ w.quant * a.quant, acc)`, and for Q4_1 then `acc = fma(w.min, a.scaled_sum, acc)`. The sums of
/// quants are whole numbers, and so are exact in any order.
pub(crate) trait Tiles: Copy {
    fn quantize(self, block: impl Fn(usize) -> [f32; BLOCK], out: &mut [ActivationBlock]);
    fn four_bits<G: FourBitGroup, const T: usize>(
        self,
        group: &[G],
        rows: [&[ActivationBlock]; T],
    ) -> [[f32; GROUP_ROWS]; T];

    /// The same for the rows of panels, if the kernel takes those; whether it does.
    fn four_bits_of_panels<G: FourBitGroup>(self, _group: &[G], _panels: &[Panel], _out: &mut PanelOutputs) -> bool {
        false
    }

    fn bytes<const T: usize>(self, group: &[Q8_0Group], rows: [&[ActivationBlock]; T]) -> [[f32; GROUP_ROWS]; T];
}
