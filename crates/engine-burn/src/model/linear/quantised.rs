//! Quantised matrices behind burn tensors: f32 in, f32 out, whole numbers between, on threads of their own.
//!
//! What comes before a product (a norm, a gate) is done row by row while the row is quantised, and what comes after it (adding to
//! what was there) while an output is stored: no tensor between.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use burn::tensor::{Tensor, TensorData};
use quant::{ACTIVATION_BLOCK, ActivationRows, Activations, BlockType, GROUP_ROWS, QuantMatrix};

use super::RmsNorm;
use super::rows::{self, Block};
use crate::products::Products;

/// Products in a part that is worth handing over: they take some microseconds, and a part costs a tenth of one.
const PART_PRODUCTS: usize = 1 << 17;

/// Parts for each thread at the most: a thread that the system takes away for a while holds up no more than a quarter of its share.
const PARTS_PER_THREAD: usize = 4;

/// Values of input that are worth handing over: a norm or a gate and the rounding take two or three microseconds.
const PART_VALUES: usize = 1 << 11;

/// A matrix of `[outputs, inputs]`. An output is the same in whatever chunk its token comes and on however many threads.
pub(super) struct Quantised {
    /// One below the other: tensors of different blocks that share their input.
    matrices: Vec<QuantMatrix>,
    inputs: usize,
    outputs: usize,
    products: Arc<Products>,
}

/// How an output is stored.
#[derive(Clone, Copy)]
enum Store {
    Set,
    Add,
}

impl Quantised {
    /// Matrices with as many inputs each, one below the other.
    pub(super) fn new(matrices: Vec<QuantMatrix>, products: Arc<Products>) -> Self {
        Self {
            inputs: matrices.first().map_or(0, QuantMatrix::n_cols),
            outputs: matrices.iter().map(QuantMatrix::n_rows).sum(),
            matrices,
            products,
        }
    }

    /// The matrices' blocks, and the bytes that each takes.
    pub(super) fn stored(&self) -> impl Iterator<Item = (BlockType, usize)> {
        self.matrices.iter().map(|matrix| (matrix.block_type(), matrix.bytes()))
    }

    /// The product with the rows' norm.
    pub(super) fn forward_normed(&self, x: &Tensor<2>, norm: &RmsNorm) -> Tensor<2> {
        let [tokens, _] = x.dims();
        let mut out = vec![0.0; tokens * self.outputs];
        self.forward_normed_to(x, norm, &mut out);
        tensor(out, self.outputs)
    }

    /// The same to `out`, `[tokens, outputs]`.
    pub(super) fn forward_normed_to(&self, x: &Tensor<2>, norm: &RmsNorm, out: &mut [f32]) {
        self.normed_product(&on_cpu(x.clone()), norm, out);
    }

    /// `sum + self * x`; `sum` is `[tokens, outputs]`.
    pub(super) fn add_to(&self, sum: Tensor<2>, x: Tensor<2>) -> Tensor<2> {
        let [tokens, inputs] = x.dims();
        let x = on_cpu(x);
        let x = blocks(values(&x));
        let rows = |row: usize| {
            let x = &x[row * inputs / ACTIVATION_BLOCK..];
            move |block: usize| x[block]
        };
        let mut sum = on_cpu(sum);
        self.multiply(tokens, rows, sum.storage_mut(), Store::Add);
        Tensor::from_primitive::<Flex>(sum)
    }

    /// `x + down * (silu(gate) * up)`, where `gate` and `up` are the halves of `self` times the norm of `x`.
    pub(super) fn add_gated(&self, down: &Self, x: Tensor<2>, norm: &RmsNorm) -> Tensor<2> {
        let [tokens, _] = x.dims();
        let mut x = on_cpu(x);
        let mut both = self.products.between(tokens * self.outputs);
        let both = &mut both[..tokens * self.outputs];
        self.normed_product(&x, norm, both);
        let rows = |row: usize| {
            let (gate, up) = both[row * self.outputs..][..self.outputs].split_at(self.outputs / 2);
            let (gate, up) = (blocks(gate), blocks(up));
            move |block: usize| rows::gated(&gate[block], &up[block])
        };
        down.multiply(tokens, rows, x.storage_mut(), Store::Add);
        Tensor::from_primitive::<Flex>(x)
    }

    /// The product with the norm of the rows of `x`, to `out`, `[tokens, outputs]`.
    fn normed_product(&self, x: &FlexTensor, norm: &RmsNorm, out: &mut [f32]) {
        let x = values(x);
        let weights = blocks(&norm.values);
        let rows = |row: usize| {
            let x = &x[row * self.inputs..][..self.inputs];
            let scale = rows::rms_scale(x, norm.eps);
            let x = blocks(x);
            move |block: usize| rows::normed(&x[block], scale, &weights[block])
        };
        self.multiply(x.len() / self.inputs, rows, out, Store::Set);
    }

    /// Multiplies with what `rows` gives for each token, block by block, and stores to `out`, `[tokens, outputs]`.
    fn multiply<B>(&self, tokens: usize, rows: impl Fn(usize) -> B + Sync, out: &mut [f32], store: Store)
    where
        B: Fn(usize) -> Block,
    {
        let mut activations = self.products.inputs();
        activations
            .resize(tokens, self.inputs)
            .expect("the loader checks that rows are whole blocks");
        let rows_per_part = (PART_VALUES / self.inputs).max(1);
        let parts = activations.parts_mut(rows_per_part).collect();
        self.products
            .threads()
            .for_each(parts, |mut quantised: ActivationRows<'_>| {
                for idx in 0..quantised.n_rows() {
                    quantised.quantize_blocks(idx, rows(quantised.first_row() + idx));
                }
            });
        let cuts = self.cuts(tokens);
        let mut outs = self.cut(tokens, out, &cuts);
        let parts = cuts.into_iter().zip(outs.chunks_mut(tokens));
        self.products
            .threads()
            .for_each(parts.collect(), |(cut, out)| cut.multiply(&activations, out, store));
    }

    /// Cuts the matrices by their rows, for so many tokens.
    fn cuts(&self, tokens: usize) -> Vec<Cut<'_>> {
        let most_parts = self.products.threads().n_threads() * PARTS_PER_THREAD;
        let mut cuts = Vec::with_capacity(most_parts + self.matrices.len());
        for matrix in &self.matrices {
            let rows = matrix.n_rows();
            let n_groups = rows.div_ceil(GROUP_ROWS);
            // Small matrices of several get as much of the threads as they are of the whole.
            let n_parts = (rows * matrix.n_cols() * tokens / PART_PRODUCTS)
                .min((most_parts * rows).div_ceil(self.outputs))
                .clamp(1, n_groups);
            let first_row = |part: usize| (n_groups * part / n_parts * GROUP_ROWS).min(rows);
            cuts.extend((0..n_parts).map(|part| Cut {
                matrix,
                rows: first_row(part)..first_row(part + 1),
            }));
        }
        cuts
    }

    /// Cuts the outputs in the same way: `[cuts, tokens]` slices, in one allocation however many.
    fn cut<'o>(&self, tokens: usize, out: &'o mut [f32], cuts: &[Cut<'_>]) -> Vec<&'o mut [f32]> {
        let mut outs = Vec::new();
        outs.resize_with(cuts.len() * tokens, Default::default);
        for (token, mut row) in out.chunks_exact_mut(self.outputs).enumerate() {
            for (idx, cut) in cuts.iter().enumerate() {
                let (out, rest) = row.split_at_mut(cut.rows.len());
                outs[idx * tokens + token] = out;
                row = rest;
            }
        }
        outs
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

/// Some rows of a matrix, and so some outputs of every token.
struct Cut<'a> {
    matrix: &'a QuantMatrix,
    rows: Range<usize>,
}

impl Cut<'_> {
    /// `out` has a slice of as many outputs for each token.
    fn multiply(self, activations: &Activations, out: &mut [&mut [f32]], store: Store) {
        let done = match store {
            Store::Set => self.matrix.multiply(self.rows, activations, out),
            Store::Add => self.matrix.multiply_add(self.rows, activations, out),
        };
        done.expect("cuts begin and end with groups, and have an output for every row");
    }
}

/// The tensor as the CPU has it, its values one row after the other and nothing beside them.
fn on_cpu(x: Tensor<2>) -> FlexTensor {
    let x = x
        .try_into_primitive::<Flex>()
        .expect("matrices are quantised on the CPU alone");
    let whole = x
        .as_slice::<f32>()
        .is_some_and(|values| values.len() == x.storage::<f32>().len());
    if whole { x } else { x.to_contiguous() }
}

fn values(x: &FlexTensor) -> &[f32] {
    x.as_slice().expect("it is contiguous, and the CPU computes in f32")
}

/// The blocks of a row; the loader checks that it has no others.
fn blocks(row: &[f32]) -> &[Block] {
    let (blocks, _) = row.as_chunks();
    blocks
}

fn tensor(values: Vec<f32>, width: usize) -> Tensor<2> {
    let shape = [values.len() / width, width];
    Tensor::from_primitive::<Flex>(FlexTensor::from_data(TensorData::new(values, shape)))
}
