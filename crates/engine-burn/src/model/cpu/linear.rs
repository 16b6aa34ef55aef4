//! A matrix on the CPU, quantised or in f32.

use super::f32_linear::F32Linear;
use super::quant_linear::QuantLinear;
use crate::model::stored::StoredMatrix;

/// A matrix of `[outputs, inputs]`, without bias.
pub(crate) enum Linear {
    /// In blocks, multiplied by kernels of our own.
    Quantised(QuantLinear),
    /// As it is where no blocks are possible or wanted, multiplied by burn.
    F32(Box<F32Linear>),
}

impl Linear {
    /// Values of a row of results.
    pub(super) fn outputs(&self) -> usize {
        match self {
            Self::Quantised(quantised) => quantised.outputs(),
            Self::F32(plain) => plain.outputs(),
        }
    }

    /// What it is in memory, from top to bottom.
    pub(super) fn stored(&self) -> Vec<StoredMatrix> {
        match self {
            Self::Quantised(quantised) => quantised.stored().collect(),
            Self::F32(plain) => vec![plain.stored()],
        }
    }
}
