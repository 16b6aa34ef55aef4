//! Matrices that stay f32 on the CPU, because their rows aren't whole blocks or quantising is off: burn multiplies
//! them.
//!
//! Rows become tensors for one operation and come back as rows. This is all that the CPU's backend knows of burn.

use burn::tensor::{Tensor, TensorData};

use super::elementwise::RmsNorm;
use crate::device::BurnDevice;
use crate::model::burn::linear::{self as burn_linear, Linear};
use crate::model::stored::StoredMatrix;

/// A matrix of `[outputs, inputs]` in f32.
pub(crate) struct F32Linear {
    linear: Linear,
    device: BurnDevice,
}

impl F32Linear {
    /// Takes the values of a matrix over, row by row.
    pub(crate) fn new(values: Vec<f32>, shape: [usize; 2], device: BurnDevice) -> Self {
        Self {
            linear: Linear::new(values, shape, &device),
            device,
        }
    }

    pub(super) fn outputs(&self) -> usize {
        self.stored().outputs
    }

    /// What it is in memory.
    pub(super) fn stored(&self) -> StoredMatrix {
        self.linear.stored()
    }

    /// `out = W norm(x)`.
    pub(super) fn norm_linear(&self, x: &[f32], norm: &RmsNorm, out: &mut [f32]) {
        let norm = burn_linear::RmsNorm::new(norm.weight.clone(), norm.eps, &self.device);
        let x = self.tensor(x, self.stored().inputs);
        self.device.run(|| read(self.linear.forward(norm.forward(x)), out));
    }

    /// `sum += W x`.
    pub(super) fn add_linear(&self, x: &[f32], sum: &mut [f32]) {
        let StoredMatrix { inputs, outputs, .. } = self.stored();
        let (x, before) = (self.tensor(x, inputs), self.tensor(sum, outputs));
        self.device.run(|| read(before + self.linear.forward(x), sum));
    }

    /// `out = silu(gate) ⊙ up`, where each row of `gate_up`, of `width` values, is a gate and then what it gates.
    pub(super) fn gate(&self, gate_up: &[f32], width: usize, out: &mut [f32]) {
        let gate_up = self.tensor(gate_up, width);
        self.device.run(|| read(burn_linear::gated(gate_up), out));
    }

    fn tensor(&self, rows: &[f32], width: usize) -> Tensor<2> {
        let data = TensorData::new(rows.to_vec(), [rows.len() / width, width]);
        Tensor::from_data(data, self.device.device())
    }
}

/// Writes a tensor's values, row by row.
fn read(x: Tensor<2>, out: &mut [f32]) {
    let data = x.into_data();
    out.copy_from_slice(data.as_slice().expect("the CPU computes in f32"));
}
