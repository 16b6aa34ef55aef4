//! The two kinds of weights, matrices and norms, and the steps of a layer that are made of them.
//!
//! On a GPU, and on the CPU in f32, a step is plain burn operations; with quantised matrices it is a pass or two over memory
//! ([`quantised`]). What a step computes is said here once, in the first form.

mod quantised;
pub(crate) mod rows;

use std::fmt;
use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData, activation};
use quant::{BlockType, QuantMatrix};
use rayon::prelude::*;

use crate::BurnEngineError;
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
    pub(crate) fn new(weight: Tensor<2>, n_threads: usize) -> Self {
        Self(Kind::Dense(Box::new(Dense::new(weight, n_threads))))
    }

    /// Quantised matrices of `[outputs, inputs]`, one below the other, that are computed with on the CPU.
    pub(crate) fn quantised(matrices: Vec<QuantMatrix>, products: Arc<Products>) -> Self {
        Self(Kind::Quantised(Quantised::new(matrices, products)))
    }

    /// What it is computed with as, from top to bottom, and the bytes that each takes.
    pub(crate) fn stored(&self) -> Vec<(BlockType, usize)> {
        match &self.0 {
            Kind::Dense(dense) => vec![(
                BlockType::F32,
                dense.weight.dims().iter().product::<usize>() * size_of::<f32>(),
            )],
            Kind::Quantised(quantised) => quantised.stored().collect(),
        }
    }

    /// The product with the norm of `x`: `[tokens, inputs]` to `[tokens, outputs]`.
    pub(crate) fn forward_normed(&self, x: &Tensor<2>, norm: &RmsNorm) -> Tensor<2> {
        match &self.0 {
            Kind::Dense(dense) => dense.forward(norm.forward(x.clone())),
            Kind::Quantised(quantised) => quantised.forward_normed(x, norm),
        }
    }

    /// As [`Linear::forward_normed`], but to the CPU's memory: `out` is `[tokens, outputs]`.
    ///
    /// # Errors
    /// [`BurnEngineError::ReadBack`] when the device fails.
    pub(crate) fn read_normed(&self, x: &Tensor<2>, norm: &RmsNorm, out: &mut [f32]) -> Result<(), BurnEngineError> {
        match &self.0 {
            Kind::Dense(dense) => {
                let product = dense.forward(norm.forward(x.clone()));
                let values = product
                    .try_into_vec_as::<f32>()
                    .map_err(|error| BurnEngineError::ReadBack {
                        reason: error.to_string(),
                    })?;
                out.copy_from_slice(&values);
            }
            Kind::Quantised(quantised) => quantised.forward_normed_to(x, norm, out),
        }
        Ok(())
    }

    /// `sum` and the product with `x`: `[tokens, outputs]` and `[tokens, inputs]` to `[tokens, outputs]`.
    pub(crate) fn add_to(&self, sum: Tensor<2>, x: Tensor<2>) -> Tensor<2> {
        match &self.0 {
            Kind::Dense(dense) => sum + dense.forward(x),
            Kind::Quantised(quantised) => quantised.add_to(sum, x),
        }
    }
}

/// A layer's second half: `x + down * (silu(gate * norm(x)) * (up * norm(x)))`.
pub(crate) struct FeedForward {
    pub(crate) norm: RmsNorm,
    /// `[2 * intermediate_size, hidden_size]`, the gate's half first.
    pub(crate) gate_up: Linear,
    pub(crate) down: Linear,
}

impl FeedForward {
    /// `[tokens, hidden_size]` to the same.
    pub(crate) fn add_to(&self, x: Tensor<2>) -> Tensor<2> {
        if let (Kind::Quantised(gate_up), Kind::Quantised(down)) = (&self.gate_up.0, &self.down.0) {
            return gate_up.add_gated(down, x, &self.norm);
        }
        let gate_up = self.gate_up.forward_normed(&x, &self.norm);
        let [_, both] = gate_up.dims();
        let gate = gate_up.clone().slice_dim(1, 0..both / 2);
        let up = gate_up.slice_dim(1, both / 2..both);
        self.down.add_to(x, activation::silu(gate) * up)
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
pub(crate) struct RmsNorm {
    /// `[1, size]`.
    weight: Tensor<2>,
    /// The same again, for rows that are no tensors.
    values: Vec<f32>,
    eps: f32,
}

impl RmsNorm {
    /// A norm with a weight for each of its inputs.
    pub(crate) fn new(values: Vec<f32>, eps: f32, device: &Device) -> Self {
        let data = TensorData::new(values.clone(), [1, values.len()]);
        Self {
            weight: Tensor::from_data(data, device),
            values,
            eps,
        }
    }

    /// `[tokens, size]` to the same.
    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let mean_square = x.clone().square().mean_dim(1);
        x / (mean_square + self.eps).sqrt() * self.weight.clone()
    }
}
