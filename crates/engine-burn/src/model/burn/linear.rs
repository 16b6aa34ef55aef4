//! Matrices and norms in f32, and the gate of a feed-forward network, as burn's operations.

use burn::tensor::{Tensor, TensorData, activation};
use quant::BlockType;
use rayon::prelude::*;

use crate::device::BurnDevice;
use crate::model::stored::StoredMatrix;

/// Values of a part that is worth a thread: at 10 to 20 GB/s they take 50 to 100 µs, and handing them over takes up to
/// 20.
const PART_VALUES: usize = 1 << 18;

/// A matrix in f32, kept as the file has it, `[outputs, inputs]`: each output is a dot product over consecutive memory,
/// which is the fastest order for one row, and the transposed view costs nothing.
pub(crate) struct Linear {
    /// `[inputs, outputs]`.
    weight: Tensor<2>,
    /// The same memory again, cut by outputs: burn's CPU multiplies a single row on one thread. Empty on a
    /// GPU. Which thread takes an output doesn't change it.
    parts: Vec<Tensor<2>>,
}

impl Linear {
    /// Takes the values of a matrix of `[outputs, inputs]` over, row by row, and cuts it for the device's threads.
    pub(crate) fn new(values: Vec<f32>, [outputs, inputs]: [usize; 2], device: &BurnDevice) -> Self {
        let weight: Tensor<2> = Tensor::from_data(TensorData::new(values, [outputs, inputs]), device.device());
        let n_parts = (outputs * inputs / PART_VALUES).min(device.n_threads());
        let part = |idx| {
            weight
                .clone()
                .slice_dim(0, outputs * idx / n_parts..outputs * (idx + 1) / n_parts)
                .transpose()
        };
        let parts = if n_parts > 1 {
            (0..n_parts).map(part).collect()
        } else {
            Vec::new()
        };
        Self {
            weight: weight.transpose(),
            parts,
        }
    }

    /// `W x` for each row: `[tokens, inputs]` to `[tokens, outputs]`.
    pub(crate) fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let [tokens, _] = x.dims();
        if tokens > 1 || self.parts.is_empty() {
            return x.matmul(self.weight.clone());
        }
        let parts: Vec<Tensor<2>> = self
            .parts
            .par_iter()
            .map(|part| x.clone().matmul(part.clone()))
            .collect();
        Tensor::cat(parts, 1)
    }

    /// What it is in memory.
    pub(crate) fn stored(&self) -> StoredMatrix {
        let [inputs, outputs] = self.weight.dims();
        StoredMatrix {
            block_type: BlockType::F32,
            outputs,
            inputs,
            bytes: outputs * inputs * size_of::<f32>(),
        }
    }
}

/// A root-mean-square norm (RMSNorm, arXiv:1910.07467).
pub(crate) struct RmsNorm {
    /// `[1, size]`.
    weight: Tensor<2>,
    eps: f32,
}

impl RmsNorm {
    /// A norm with a weight for each column.
    pub(crate) fn new(weight: Vec<f32>, eps: f32, device: &BurnDevice) -> Self {
        let size = weight.len();
        Self {
            weight: Tensor::from_data(TensorData::new(weight, [1, size]), device.device()),
            eps,
        }
    }

    /// `x / sqrt(mean(x²) + eps) * weight` for each row: `[tokens, size]` to the same.
    pub(crate) fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let mean_square = x.clone().square().mean_dim(1);
        x / (mean_square + self.eps).sqrt() * self.weight.clone()
    }
}

/// `silu(gate) ⊙ up`: `[tokens, 2 * size]`, the gate's half first, to `[tokens, size]`.
pub(crate) fn gated(gate_up: Tensor<2>) -> Tensor<2> {
    let [_, both] = gate_up.dims();
    let gate = gate_up.clone().slice_dim(1, 0..both / 2);
    let up = gate_up.slice_dim(1, both / 2..both);
    activation::silu(gate) * up
}
