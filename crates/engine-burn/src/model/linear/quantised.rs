//! Quantised matrices behind a burn tensor: f32 in, f32 out, whole numbers between, on threads of their own.

use std::fmt;
use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use quant::{Activations, GROUP_ROWS, QuantMatrix};

use crate::products::Products;

/// Products in a part that is worth handing over: they take some microseconds, and a part costs a tenth of one.
const PART_PRODUCTS: usize = 1 << 17;

/// Parts for each thread at the most: a thread that the system takes away for a while holds up no more than a quarter of its share.
const PARTS_PER_THREAD: usize = 4;

/// A matrix of `[outputs, inputs]`. An output is the same in whatever chunk its token comes and on however many threads.
pub(super) struct Quantised {
    /// One below the other: tensors of different blocks that share their input.
    matrices: Vec<QuantMatrix>,
    outputs: usize,
    products: Arc<Products>,
    device: Device,
}

impl Quantised {
    /// Matrices with as many inputs each, one below the other.
    pub(super) fn new(matrices: Vec<QuantMatrix>, products: Arc<Products>, device: Device) -> Self {
        Self {
            outputs: matrices.iter().map(QuantMatrix::n_rows).sum(),
            matrices,
            products,
            device,
        }
    }

    /// `[tokens, inputs]` to `[tokens, outputs]`.
    pub(super) fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let [tokens, inputs] = x.dims();
        let x = x.into_data();
        let values = x.as_slice().expect("the CPU's activations are f32");
        let mut activations = self.products.inputs();
        activations
            .quantize(values, inputs)
            .expect("the loader checks that rows are whole blocks");
        let mut out = vec![0.0; tokens * self.outputs];
        self.multiply(&activations, &mut out);
        Tensor::from_data(TensorData::new(out, [tokens, self.outputs]), &self.device)
    }

    fn multiply(&self, activations: &Activations, out: &mut [f32]) {
        let parts = self.parts(activations.n_rows(), out);
        self.products.threads().for_each(parts, |mut part| {
            let rows = part.first_row..part.first_row + part.out.first().map_or(0, |out| out.len());
            part.matrix
                .multiply(rows, activations, &mut part.out)
                .expect("parts begin and end with groups, and have an output for every row");
        });
    }

    /// Cuts the outputs by rows of the matrices.
    fn parts<'a>(&'a self, tokens: usize, out: &'a mut [f32]) -> Vec<Part<'a>> {
        let mut parts: Vec<Part<'a>> = Vec::new();
        let mut lengths = Vec::new();
        for matrix in &self.matrices {
            let first_rows = self.cuts(matrix, tokens);
            for (first_row, next) in first_rows.iter().zip(&first_rows[1..]) {
                parts.push(Part {
                    matrix,
                    first_row: *first_row,
                    out: Vec::with_capacity(tokens),
                });
                lengths.push(next - first_row);
            }
        }
        for mut row in out.chunks_exact_mut(self.outputs) {
            for (part, len) in parts.iter_mut().zip(&lengths) {
                let (out, rest) = row.split_at_mut(*len);
                part.out.push(out);
                row = rest;
            }
        }
        parts
    }

    /// Where the parts of one matrix begin, and where the last ends.
    fn cuts(&self, matrix: &QuantMatrix, tokens: usize) -> Vec<usize> {
        let rows = matrix.n_rows();
        let n_groups = rows.div_ceil(GROUP_ROWS);
        // Small matrices of several get as much of the threads as they are of the whole.
        let most_parts = (self.products.threads().n_threads() * PARTS_PER_THREAD * rows).div_ceil(self.outputs);
        let n_parts = (rows * matrix.n_cols() * tokens / PART_PRODUCTS)
            .min(most_parts)
            .clamp(1, n_groups);
        (0..=n_parts)
            .map(|part| (n_groups * part / n_parts * GROUP_ROWS).min(rows))
            .collect()
    }
}

impl fmt::Debug for Quantised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (idx, matrix) in self.matrices.iter().enumerate() {
            let comma = if idx == 0 { "" } else { ", " };
            let (block_type, outputs, inputs) = (matrix.block_type(), matrix.n_rows(), matrix.n_cols());
            write!(f, "{comma}{block_type} [{outputs}, {inputs}]")?;
        }
        Ok(())
    }
}

/// Some outputs of every token.
struct Part<'a> {
    matrix: &'a QuantMatrix,
    first_row: usize,
    out: Vec<&'a mut [f32]>,
}
