//! The operations of a layer on the CPU: the same bits for every chunk and any number of threads with quantised
//! matrices, and close to the formulas as burn computes them.

use quant::{BlockType, QuantMatrix, dequantize};

use super::quant_linear::cpu;
use crate::cache::KvShape;
use crate::device::BurnDevice;
use crate::model::backend::Backend;
use crate::model::burn::{self, Burn};
use crate::model::cpu::elementwise::RmsNorm;
use crate::model::cpu::f32_linear::F32Linear;
use crate::model::cpu::linear::Linear;
use crate::model::cpu::quant_linear::QuantLinear;
use crate::model::cpu::{Cpu, Rows};
use crate::model::weights::FeedForward;

const HIDDEN: usize = 288;
const INTERMEDIATE: usize = 800;
const EPS: f32 = 1e-5;

/// What 8-bit inputs may change in a value.
const TOLERANCE: f32 = 0.1;

/// An operation of a layer on rows of one width.
#[derive(Clone, Copy)]
enum Operation {
    NormLinear,
    AddLinear,
    FeedForward,
}

/// What a matrix is multiplied as.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    Quantised,
    F32,
}

impl Operation {
    fn width(self) -> usize {
        match self {
            Self::NormLinear | Self::FeedForward => HIDDEN,
            Self::AddLinear => INTERMEDIATE,
        }
    }

    /// Runs it on a backend with matrices and a norm that `linear` and `norm` make.
    fn run<B: Backend>(
        self,
        backend: &B,
        norm: B::Norm,
        linear: impl Fn(usize, usize) -> B::Linear,
        values: &[f32],
    ) -> B::Rows {
        let x = backend.upload(values.to_vec(), self.width());
        match self {
            Self::NormLinear => backend.norm_linear(&x, &norm, &linear(411, HIDDEN)),
            Self::AddLinear => {
                let rows = values.chunks(INTERMEDIATE);
                let residual = rows.flat_map(|row| &row[100..100 + HIDDEN]).copied().collect();
                backend.add_linear(backend.upload(residual, HIDDEN), x, &linear(HIDDEN, INTERMEDIATE))
            }
            Self::FeedForward => {
                let feed_forward = FeedForward {
                    norm,
                    gate_up_proj: linear(2 * INTERMEDIATE, HIDDEN),
                    down_proj: linear(HIDDEN, INTERMEDIATE),
                };
                backend.add_feed_forward(x, &feed_forward)
            }
        }
    }

    /// Runs it with matrices in these forms, by their inputs.
    fn on_cpu(self, cpu: &Cpu, form: impl Fn(usize) -> Form, values: &[f32]) -> Rows {
        let norm = RmsNorm {
            weight: norm_weight(),
            eps: EPS,
        };
        let linear = |outputs, inputs| match form(inputs) {
            Form::Quantised => {
                let matrix = QuantMatrix::new(BlockType::Q4_1, outputs, inputs, &blocks(outputs, inputs));
                Linear::Quantised(QuantLinear::new(vec![matrix.expect("whole blocks")]))
            }
            Form::F32 => {
                let matrix = F32Linear::new(dense(outputs, inputs), [outputs, inputs], burn_device());
                Linear::F32(Box::new(matrix))
            }
        };
        self.run(cpu, norm, linear, values)
    }

    fn on_burn(self, values: &[f32]) -> Vec<f32> {
        let device = burn_device();
        let heads = cpu(1).kv_shape().heads;
        let backend = Burn::new(device.clone(), KvShape { heads, n_layers: 0 }, 10_000.0);
        let norm = burn::linear::RmsNorm::new(norm_weight(), EPS, &device);
        let linear = |outputs, inputs| burn::linear::Linear::new(dense(outputs, inputs), [outputs, inputs], &device);
        let out = self.run(&backend, norm, linear, values);
        out.try_into_vec_as::<f32>().expect("the CPU's tensors can be read")
    }
}

fn burn_device() -> BurnDevice {
    BurnDevice::cpu(1).expect("the system has a thread")
}

fn norm_weight() -> Vec<f32> {
    (0..HIDDEN).map(|i| 1.0 + 0.3 * (i as f32 * 1.7).sin()).collect()
}

fn blocks(outputs: usize, inputs: usize) -> Vec<u8> {
    let block = BlockType::Q4_1.block_bytes();
    // Scales of 0.0039 and minimums of -0.0293: about -0.03 to 0.03.
    let halves = [0x00, 0x1c, 0x80, 0xa7];
    let byte = |i: usize| {
        halves
            .get(i % block)
            .copied()
            .unwrap_or((i * i * 31 + i * 7 + i / 97) as u8)
    };
    (0..outputs * inputs / 32 * block).map(byte).collect()
}

/// The same matrix in f32.
fn dense(outputs: usize, inputs: usize) -> Vec<f32> {
    let mut values = vec![0.0; outputs * inputs];
    dequantize(BlockType::Q4_1, &blocks(outputs, inputs), &mut values).expect("whole blocks");
    values
}

fn inputs(tokens: usize, width: usize) -> Vec<f32> {
    (0..tokens * width).map(|i| (i as f32 * 0.37).sin() * 3.0).collect()
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

#[track_caller]
fn check(operation: Operation) {
    let width = operation.width();
    let values = inputs(70, width);
    let quantised = |_| Form::Quantised;
    let expected = operation.on_cpu(&cpu(1), quantised, &values);
    for n_threads in [1, 2, 5] {
        let cpu = cpu(n_threads);
        for tokens in [1, 7, 64] {
            let chunks = values.chunks(tokens * width);
            let got: Vec<f32> = chunks
                .flat_map(|chunk| operation.on_cpu(&cpu, quantised, chunk).to_vec())
                .collect();
            assert!(
                bits(&got) == bits(&expected),
                "chunks of {tokens} on {n_threads} threads"
            );
        }
    }
    let plain = operation.on_burn(&values);
    let worst = plain
        .iter()
        .zip(expected.iter())
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max);
    assert!(worst <= TOLERANCE, "off by up to {worst}");
    let largest = plain.iter().fold(0.0, |largest: f32, x| largest.max(x.abs()));
    assert!(
        largest > 5.0 * TOLERANCE,
        "the values are too small to tell anything: {largest}"
    );
    let in_f32 = operation.on_cpu(&cpu(2), |_| Form::F32, &values);
    assert!(
        bits(&in_f32) == bits(&plain),
        "a matrix in f32 is multiplied as burn does"
    );
}

#[test]
fn a_product_with_a_norm() {
    check(Operation::NormLinear);
}

#[test]
fn a_product_that_is_added() {
    check(Operation::AddLinear);
}

#[test]
fn a_gated_layer() {
    check(Operation::FeedForward);
}

#[test]
fn a_gated_layer_of_which_one_matrix_is_quantised() {
    let values = inputs(3, HIDDEN);
    let plain = Operation::FeedForward.on_burn(&values);
    for quantised_inputs in [HIDDEN, INTERMEDIATE] {
        let form = |inputs| {
            if inputs == quantised_inputs {
                Form::Quantised
            } else {
                Form::F32
            }
        };
        let mixed = Operation::FeedForward.on_cpu(&cpu(2), form, &values);
        for (got, expected) in mixed.iter().zip(&plain) {
            assert!((got - expected).abs() <= TOLERANCE, "{got} instead of {expected}");
        }
    }
}

#[test]
fn rows_in_use_are_not_changed() {
    let cpu = cpu(2);
    let kept = cpu.upload(inputs(2, HIDDEN), HIDDEN);
    let added = Operation::AddLinear.on_cpu(&cpu, |_| Form::Quantised, &inputs(2, INTERMEDIATE));
    let kept_too = added.to_vec();
    let others = Operation::FeedForward.on_cpu(&cpu, |_| Form::Quantised, &kept);
    assert_eq!(*kept, inputs(2, HIDDEN));
    assert_eq!(*added, kept_too);
    assert_ne!(*others, *kept);
}

#[test]
fn rows_that_are_dropped_leave_their_memory_to_the_next() {
    let cpu = cpu(1);
    let (large, small) = (cpu.upload(vec![1.0; 96], 32), cpu.upload(vec![1.0; 64], 32));
    let places = [large.as_ptr(), small.as_ptr()];
    drop((large, small));
    let small = cpu.upload(vec![2.0; 32], 32);
    let large = cpu.upload(vec![3.0; 96], 32);
    assert_eq!([large.as_ptr(), small.as_ptr()], places);
    assert_eq!((large.len(), small.len()), (96, 32));
}
