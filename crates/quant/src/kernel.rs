//! Selects the instructions for products: once, at run time, from what the processor supports.
//!
//! Every kernel sums an output in the same order and with the same roundings, alone or in a tile, so that kernels
//! differ in speed only.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(all(target_arch = "aarch64", target_endian = "little"))]
mod neon;
mod portable;
mod tile_kernel;
#[cfg(target_arch = "x86_64")]
mod vnni;

use std::fmt;

#[cfg(target_arch = "x86_64")]
use avx2::Avx2;
#[cfg(all(target_arch = "aarch64", target_endian = "little"))]
use neon::NeonDotprod;
use portable::Portable;
#[cfg(target_arch = "x86_64")]
use vnni::{Avx512Vnni, AvxVnni};

pub(crate) use tile_kernel::{KernelTask, PanelOutputs, TileKernel};

/// The instructions with which products are computed.
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
    /// Returns the fastest kernel that this processor supports.
    #[must_use]
    pub fn detect() -> Self {
        Self::available().next().unwrap_or(Self::portable())
    }

    /// Returns all kernels that this processor supports, the fastest first; the last is [`Kernel::portable`].
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

    /// Returns the kernel in plain Rust, which runs on every processor.
    #[must_use]
    pub const fn portable() -> Self {
        Self(Instructions::Portable(Portable))
    }

    /// Returns true if the kernel multiplies many rows of activations at once, and needs them in panels for that.
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

    /// Runs a task with this kernel's instructions.
    pub(crate) fn run(self, task: impl KernelTask) {
        match self.0 {
            Instructions::Portable(kernel) => task.run_with(kernel),
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx2(kernel) => task.run_with(kernel),
            #[cfg(target_arch = "x86_64")]
            Instructions::AvxVnni(kernel) => task.run_with(kernel),
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx512Vnni(kernel) => task.run_with(kernel),
            #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
            Instructions::NeonDotprod(kernel) => task.run_with(kernel),
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
