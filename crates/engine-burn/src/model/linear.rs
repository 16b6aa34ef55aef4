//! The two kinds of weights: matrices and norms.

use burn::tensor::Tensor;

/// Work of one part of a split matrix below which a second thread doesn't pay, in multiplications.
const MIN_PART: usize = 1 << 20;

/// A matrix without bias, `[outputs, inputs]`, kept as the file has it: each output is a dot product over consecutive memory,
/// which is the fastest order for one row, and the transposed view costs nothing.
#[derive(Debug)]
pub(super) struct Linear {
    /// `[parts, outputs / parts, inputs]`; one row times a large matrix is split over the threads by its parts.
    weight: Tensor<3>,
}

impl Linear {
    /// A matrix of `[outputs, inputs]`.
    pub(super) fn new(weight: Tensor<2>) -> Self {
        let [outputs, inputs] = weight.dims();
        let parts = [8, 4, 2]
            .into_iter()
            .find(|&parts| outputs % parts == 0 && outputs * inputs / parts >= MIN_PART);
        let parts = parts.unwrap_or(1);
        Self {
            weight: weight.reshape([parts, outputs / parts, inputs]),
        }
    }

    /// `[tokens, inputs]` to `[tokens, outputs]`.
    pub(super) fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let [parts, part_outputs, inputs] = self.weight.dims();
        let [tokens, _] = x.dims();
        let weight = self.weight.clone();
        if parts == 1 || tokens > 1 {
            return x.matmul(weight.reshape([parts * part_outputs, inputs]).transpose());
        }
        x.unsqueeze::<3>()
            .matmul(weight.transpose())
            .reshape([1, parts * part_outputs])
    }
}

/// A root-mean-square norm.
#[derive(Debug)]
pub(super) struct RmsNorm {
    /// `[1, size]`.
    weight: Tensor<2>,
    eps: f32,
}

impl RmsNorm {
    /// A norm with a weight of `[1, size]`.
    pub(super) fn new(weight: Tensor<2>, eps: f32) -> Self {
        Self { weight, eps }
    }

    /// `[tokens, size]` to the same.
    pub(super) fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let mean_square = x.clone().square().mean_dim(1);
        x / (mean_square + self.eps).sqrt() * self.weight.clone()
    }
}
