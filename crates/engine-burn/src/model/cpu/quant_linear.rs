//! Quantised matrices times rows of f32: whole numbers between, on the CPU's threads.
//!
//! A row is rounded to 8 bits block by block, and what comes before the product (a norm, a gate) is computed on the
//! way; what comes behind it (the sum with what is there) is computed while an output is stored. An output is the same
//! for every length of chunks and any number of threads.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use quant::{ActivationRows, Activations, GROUP_ROWS, QuantMatrix};

use super::elementwise::{self, Block, RmsNorm};
use crate::model::stored::StoredMatrix;
use crate::threads::Threads;

/// Products in a part that is worth handing over: they take some microseconds, and a part costs a tenth of one.
const PART_PRODUCTS: usize = 1 << 17;

/// Values of input that are worth handing over: a norm or a gate and the rounding take two or three microseconds.
const PART_VALUES: usize = 1 << 11;

/// What the products of a model share.
pub(crate) struct Multiplier {
    threads: Arc<Threads>,
    /// The inputs of one product at a time: 1.1 MiB for 512 tokens of 1,536 values, which each matrix would keep for
    /// itself otherwise.
    activations: Mutex<Activations>,
}

/// A quantised matrix of `[outputs, inputs]`.
pub(crate) struct QuantLinear {
    /// One below the other: tensors of different blocks that share their input.
    matrices: Vec<QuantMatrix>,
    inputs: usize,
    outputs: usize,
}

/// How an output is stored.
#[derive(Clone, Copy)]
enum Store {
    Set,
    Add,
}

impl Multiplier {
    /// Products on these threads.
    pub(super) fn new(threads: Arc<Threads>) -> Self {
        Self {
            threads,
            activations: Mutex::default(),
        }
    }

    pub(super) fn threads(&self) -> &Threads {
        &self.threads
    }
}

impl QuantLinear {
    /// Puts matrices with as many inputs each one below the other.
    pub(crate) fn new(matrices: Vec<QuantMatrix>) -> Self {
        Self {
            inputs: matrices.first().map_or(0, QuantMatrix::n_cols),
            outputs: matrices.iter().map(QuantMatrix::n_rows).sum(),
            matrices,
        }
    }

    pub(super) fn outputs(&self) -> usize {
        self.outputs
    }

    /// The matrices from top to bottom.
    pub(super) fn stored(&self) -> impl Iterator<Item = StoredMatrix> {
        self.matrices.iter().map(|matrix| StoredMatrix {
            block_type: matrix.block_type(),
            outputs: matrix.n_rows(),
            inputs: matrix.n_cols(),
            bytes: matrix.bytes(),
        })
    }

    /// `out = W norm(x)`.
    pub(super) fn norm_linear(&self, multiplier: &Multiplier, x: &[f32], norm: &RmsNorm, out: &mut [f32]) {
        let weights = blocks(&norm.weight);
        let rows = |row: usize| {
            let x = &x[row * self.inputs..][..self.inputs];
            let scale = elementwise::rms_scale(x, norm.eps);
            let x = blocks(x);
            move |block: usize| elementwise::normed(&x[block], scale, &weights[block])
        };
        self.multiply(multiplier, rows, out, Store::Set);
    }

    /// `sum += W x`.
    pub(super) fn add_linear(&self, multiplier: &Multiplier, x: &[f32], sum: &mut [f32]) {
        let rows = |row: usize| {
            let x = blocks(&x[row * self.inputs..][..self.inputs]);
            move |block: usize| x[block]
        };
        self.multiply(multiplier, rows, sum, Store::Add);
    }

    /// `sum += W (silu(gate) ⊙ up)`, where each row of `gate_up` is a gate and then what it gates.
    pub(super) fn add_gated(&self, multiplier: &Multiplier, gate_up: &[f32], sum: &mut [f32]) {
        let rows = |row: usize| {
            let (gate, up) = gate_up[row * 2 * self.inputs..][..2 * self.inputs].split_at(self.inputs);
            let (gate, up) = (blocks(gate), blocks(up));
            move |block: usize| elementwise::gated(&gate[block], &up[block])
        };
        self.multiply(multiplier, rows, sum, Store::Add);
    }

    /// Multiplies with what `rows` gives for each token, block by block, and stores to `out`, `[tokens, outputs]`.
    fn multiply<B>(&self, multiplier: &Multiplier, rows: impl Fn(usize) -> B + Sync, out: &mut [f32], store: Store)
    where
        B: Fn(usize) -> Block,
    {
        let tokens = out.len() / self.outputs;
        // A product writes all of them before it reads any, so a panic leaves nothing behind.
        let mut activations = multiplier.activations.lock().unwrap_or_else(PoisonError::into_inner);
        activations
            .resize(tokens, self.inputs)
            .expect("the loader checks that rows are whole blocks");
        let rows_per_part = (PART_VALUES / self.inputs).max(1);
        let parts: Vec<ActivationRows<'_>> = activations.parts_mut(rows_per_part).collect();
        multiplier.threads.for_each(parts, |mut quantised| {
            for idx in 0..quantised.n_rows() {
                quantised.quantize_blocks(idx, rows(quantised.first_row() + idx));
            }
        });
        let slices = self.slices(tokens, multiplier.threads.max_parts());
        let mut outs = self.cut(tokens, out, &slices);
        let parts = slices.into_iter().zip(outs.chunks_mut(tokens));
        multiplier
            .threads
            .for_each(parts, |(slice, out)| slice.multiply(&activations, out, store));
    }

    /// Cuts the matrices by their rows into about `max_parts` slices at the most, for so many tokens.
    fn slices(&self, tokens: usize, max_parts: usize) -> Vec<RowSlice<'_>> {
        let mut slices = Vec::with_capacity(max_parts + self.matrices.len());
        for matrix in &self.matrices {
            let rows = matrix.n_rows();
            let n_groups = rows.div_ceil(GROUP_ROWS);
            // Small matrices of several get as much of the threads as they are of the whole.
            let n_parts = (rows * matrix.n_cols() * tokens / PART_PRODUCTS)
                .min((max_parts * rows).div_ceil(self.outputs))
                .clamp(1, n_groups);
            let first_row = |part: usize| (n_groups * part / n_parts * GROUP_ROWS).min(rows);
            slices.extend((0..n_parts).map(|part| RowSlice {
                matrix,
                rows: first_row(part)..first_row(part + 1),
            }));
        }
        slices
    }

    /// Cuts the outputs in the same way: `[slices, tokens]` runs of outputs, in one allocation however many.
    fn cut<'o>(&self, tokens: usize, out: &'o mut [f32], slices: &[RowSlice<'_>]) -> Vec<&'o mut [f32]> {
        let mut outs = Vec::new();
        outs.resize_with(slices.len() * tokens, Default::default);
        for (token, mut row) in out.chunks_exact_mut(self.outputs).enumerate() {
            for (idx, slice) in slices.iter().enumerate() {
                let (out, rest) = row.split_at_mut(slice.rows.len());
                outs[idx * tokens + token] = out;
                row = rest;
            }
        }
        outs
    }
}

/// Some rows of a matrix, and so some outputs of every token.
struct RowSlice<'a> {
    matrix: &'a QuantMatrix,
    rows: Range<usize>,
}

impl RowSlice<'_> {
    /// Writes the products to `out`, which has a run of as many outputs for each token.
    fn multiply(self, activations: &Activations, out: &mut [&mut [f32]], store: Store) {
        let done = match store {
            Store::Set => self.matrix.multiply(self.rows, activations, out),
            Store::Add => self.matrix.multiply_add(self.rows, activations, out),
        };
        done.expect("slices begin and end with groups, and have an output for every row");
    }
}

/// The blocks of a row; the loader checks that it has no others.
fn blocks(row: &[f32]) -> &[Block] {
    let (blocks, _) = row.as_chunks();
    blocks
}
