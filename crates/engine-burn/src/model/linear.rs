//! The two kinds of weights: matrices and norms.

mod quantised;

use std::fmt;
use std::sync::Arc;

use burn::tensor::{Device, Tensor};
use quant::QuantMatrix;
use rayon::prelude::*;

use crate::products::Products;
use quantised::Quantised;

/// Values of a part that is worth a thread: at 10 to 20 GB/s they take 50 to 100 µs, and handing them over takes up to 20.
const PART_VALUES: usize = 1 << 18;

/// A matrix without bias.
pub(crate) struct Linear(Kind);

enum Kind {
    Dense(Box<Dense>),
    Quantised(Quantised),
}

impl Linear {
    /// A matrix of `[outputs, inputs]` in f32, cut for `n_threads` at the most.
    pub(super) fn new(weight: Tensor<2>, n_threads: usize) -> Self {
        Self(Kind::Dense(Box::new(Dense::new(weight, n_threads))))
    }

    /// Quantised matrices of `[outputs, inputs]`, one below the other, that are computed with on the CPU.
    pub(crate) fn quantised(matrices: Vec<QuantMatrix>, products: Arc<Products>, device: Device) -> Self {
        Self(Kind::Quantised(Quantised::new(matrices, products, device)))
    }

    /// `[tokens, inputs]` to `[tokens, outputs]`.
    pub(crate) fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        match &self.0 {
            Kind::Dense(dense) => dense.forward(x),
            Kind::Quantised(quantised) => quantised.forward(x),
        }
    }
}

/// What it is computed with as, from top to bottom: `F32 [64, 64]`.
impl fmt::Debug for Linear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Dense(dense) => {
                let [inputs, outputs] = dense.weight.dims();
                write!(f, "F32 [{outputs}, {inputs}]")
            }
            Kind::Quantised(quantised) => quantised.fmt(f),
        }
    }
}

/// A matrix in f32, kept as the file has it, `[outputs, inputs]`: each output is a dot product over consecutive memory,
/// which is the fastest order for one row, and the transposed view costs nothing.
struct Dense {
    /// `[inputs, outputs]`.
    weight: Tensor<2>,
    /// The same memory again, cut by outputs: burn's CPU multiplies a single row on one thread. Empty on a
    /// GPU. Which thread takes an output doesn't change it.
    parts: Vec<Tensor<2>>,
}

impl Dense {
    /// Cuts the matrix for `n_threads` at the most.
    fn new(weight: Tensor<2>, n_threads: usize) -> Self {
        let [outputs, inputs] = weight.dims();
        let n_parts = (outputs * inputs / PART_VALUES).min(n_threads);
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

    /// `[tokens, inputs]` to `[tokens, outputs]`.
    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
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
}

/// A root-mean-square norm.
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
