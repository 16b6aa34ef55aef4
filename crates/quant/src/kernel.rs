//! Which instructions compute: chosen once, at run time, by what the processor has.
//!
//! Every kernel adds up an output in the same order and with the same roundings, alone or in a tile: which one computes is a
//! matter of speed alone.

#[cfg(target_arch = "x86_64")]
mod avx2;
mod portable;

use std::fmt;

use crate::activations::{ActivationBlock, PANEL_ROWS, Panel};
use crate::dequantize::BLOCK;
use crate::matrix::{FourBitGroup, GROUP_ROWS, Q8_0Group};

#[cfg(target_arch = "x86_64")]
pub(crate) use avx2::Avx2;
pub(crate) use portable::Portable;

/// The instructions that products are computed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kernel(pub(crate) Instructions);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Instructions {
    Portable(Portable),
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
}

impl Kernel {
    /// The fastest that this processor can run.
    #[must_use]
    pub fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        if let Some(avx2) = Avx2::detect() {
            return Self(Instructions::Avx2(avx2));
        }
        Self::portable()
    }

    /// Plain Rust, for every processor.
    #[must_use]
    pub const fn portable() -> Self {
        Self(Instructions::Portable(Portable))
    }

    /// Whether it multiplies many rows of activations at once, and wants them in panels for that.
    pub(crate) const fn takes_panels(self) -> bool {
        match self.0 {
            Instructions::Portable(_) => false,
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx2(_) => true,
        }
    }
}

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Instructions::Portable(_) => "portable",
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx2(_) => "AVX2",
        })
    }
}

/// The outputs of a group of rows for each row of a panel.
pub(crate) type PanelOutputs = [[f32; GROUP_ROWS]; PANEL_ROWS];

/// What a kernel computes: eight outputs for each of `T` rows of activations, from one group of rows.
///
/// Output by output, with `w` the group's block and `a` the row's, in the order of the columns and from 0:
/// `acc = fma(w.scale * a.scale, Σ w.quant * a.quant, acc)`, and for Q4_1 then `acc = fma(w.min, a.scaled_sum, acc)`. The sums of
/// quants are whole numbers, and so are exact in any order.
pub(crate) trait Tiles: Copy {
    fn quantize(self, values: &[[f32; BLOCK]], out: &mut [ActivationBlock]);
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
