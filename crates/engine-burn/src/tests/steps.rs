//! The steps of a layer with quantised matrices: the same bits for every chunk and any number of threads, and close to the plain
//! operations that they stand for.

use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use quant::{BlockType, QuantMatrix, dequantize};

use crate::model::linear::{FeedForward, Linear, RmsNorm};
use crate::products::Products;

const HIDDEN: usize = 288;
const INTERMEDIATE: usize = 800;

/// What 8-bit inputs may change in a value.
const TOLERANCE: f32 = 0.1;

/// A layer's matrices: quantised on so many threads, or the same numbers in f32.
#[derive(Clone, Copy)]
enum Kind {
    Quantised { n_threads: usize },
    Plain,
}

fn norm() -> RmsNorm {
    let weight = (0..HIDDEN).map(|i| 1.0 + 0.3 * (i as f32 * 1.7).sin()).collect();
    RmsNorm::new(weight, 1e-5, &Device::flex())
}

fn linear(kind: Kind, outputs: usize, inputs: usize) -> Linear {
    let block = BlockType::Q4_1.block_bytes();
    // Scales of 0.0039 and minimums of -0.0293: about -0.03 to 0.03.
    let halves = [0x00, 0x1c, 0x80, 0xa7];
    let byte = |i: usize| {
        halves
            .get(i % block)
            .copied()
            .unwrap_or((i * i * 31 + i * 7 + i / 97) as u8)
    };
    let bytes: Vec<u8> = (0..outputs * inputs / 32 * block).map(byte).collect();
    match kind {
        Kind::Quantised { n_threads } => {
            let matrix = QuantMatrix::new(BlockType::Q4_1, outputs, inputs, &bytes).expect("whole blocks");
            let products = Products::new(n_threads).expect("the system has some threads");
            Linear::quantised(vec![matrix], Arc::new(products))
        }
        Kind::Plain => {
            let mut values = vec![0.0; outputs * inputs];
            dequantize(BlockType::Q4_1, &bytes, &mut values).expect("whole blocks");
            Linear::new(tensor(&values, inputs), 1)
        }
    }
}

fn tensor(values: &[f32], width: usize) -> Tensor<2> {
    let data = TensorData::new(values.to_vec(), [values.len() / width, width]);
    Tensor::from_data(data, &Device::flex())
}

fn inputs(tokens: usize, width: usize) -> Vec<f32> {
    (0..tokens * width).map(|i| (i as f32 * 0.37).sin() * 3.0).collect()
}

/// Runs a step on rows of `width` in chunks of `tokens`.
fn run(step: &dyn Fn(Tensor<2>) -> Tensor<2>, values: &[f32], width: usize, tokens: usize) -> Vec<f32> {
    let chunks = values.chunks(tokens * width);
    let outputs = chunks.flat_map(|chunk| {
        let out = step(tensor(chunk, width));
        out.try_into_vec_as::<f32>().expect("the CPU's tensors can be read")
    });
    outputs.collect()
}

#[track_caller]
fn check(width: usize, step: impl Fn(Kind) -> Box<dyn Fn(Tensor<2>) -> Tensor<2>>) {
    let values = inputs(70, width);
    let expected = run(&step(Kind::Quantised { n_threads: 1 }), &values, width, 70);
    for n_threads in [1, 2, 5] {
        let step = step(Kind::Quantised { n_threads });
        for tokens in [1, 7, 64] {
            let got = run(&step, &values, width, tokens);
            let same = got.iter().map(|x| x.to_bits()).eq(expected.iter().map(|x| x.to_bits()));
            assert!(same, "chunks of {tokens} on {n_threads} threads");
        }
    }
    let plain = run(&step(Kind::Plain), &values, width, 70);
    let worst = plain
        .iter()
        .zip(&expected)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max);
    assert!(worst <= TOLERANCE, "off by up to {worst}");
    let largest = plain.iter().fold(0.0, |largest: f32, x| largest.max(x.abs()));
    assert!(
        largest > 5.0 * TOLERANCE,
        "the values are too small to tell anything: {largest}"
    );
}

#[test]
fn a_product_with_a_norm() {
    check(HIDDEN, |kind| {
        let (linear, norm) = (linear(kind, 411, HIDDEN), norm());
        Box::new(move |x| linear.forward_normed(&x, &norm))
    });
}

#[test]
fn a_product_that_is_added() {
    check(INTERMEDIATE, |kind| {
        let linear = linear(kind, HIDDEN, INTERMEDIATE);
        Box::new(move |x| {
            let sum = x.clone().slice_dim(1, 100..100 + HIDDEN);
            linear.add_to(sum, x)
        })
    });
}

#[test]
fn a_gated_layer() {
    check(HIDDEN, |kind| {
        let layer = FeedForward {
            norm: norm(),
            gate_up: linear(kind, 2 * INTERMEDIATE, HIDDEN),
            down: linear(kind, HIDDEN, INTERMEDIATE),
        };
        Box::new(move |x| layer.add_to(x))
    });
}

#[test]
fn a_gated_layer_of_which_one_matrix_is_quantised() {
    let of = |up, down| {
        let layer = FeedForward {
            norm: norm(),
            gate_up: linear(up, 2 * INTERMEDIATE, HIDDEN),
            down: linear(down, HIDDEN, INTERMEDIATE),
        };
        run(&|x| layer.add_to(x), &inputs(3, HIDDEN), HIDDEN, 3)
    };
    let quantised = Kind::Quantised { n_threads: 2 };
    let plain = of(Kind::Plain, Kind::Plain);
    for (up, down) in [(quantised, Kind::Plain), (Kind::Plain, quantised)] {
        for (got, expected) in of(up, down).iter().zip(&plain) {
            assert!((got - expected).abs() <= TOLERANCE, "{got} instead of {expected}");
        }
    }
}

#[test]
fn what_was_given_away_is_not_changed() {
    let linear = linear(Kind::Quantised { n_threads: 2 }, HIDDEN, INTERMEDIATE);
    let (sum, x) = (
        tensor(&inputs(2, HIDDEN), HIDDEN),
        tensor(&inputs(2, INTERMEDIATE), INTERMEDIATE),
    );
    let added = linear.add_to(sum.clone(), x.clone());
    let read = |tensor: Tensor<2>| tensor.try_into_vec_as::<f32>().expect("the CPU's tensors can be read");
    assert_eq!(read(sum), inputs(2, HIDDEN));
    assert_eq!(read(x), inputs(2, INTERMEDIATE));
    assert_ne!(read(added), inputs(2, HIDDEN));
}
