//! The toy with quantised matrices, computed with as they are stored.

use expect_test::{Expect, expect};

use super::{STREAMING, ids, load_with, logits, small_cache};
use crate::{DeviceChoice, LlamaModel, Precision};

/// What rounding activations to 8 bits may change in a logit on average.
const TOLERANCE: f32 = 0.25;

fn toy(name: &str, precision: Precision) -> LlamaModel {
    load_with(name, DeviceChoice::Cpu, precision)
}

/// Compares the mean, since the largest of some ten thousand logits is luck.
#[track_caller]
fn check_close(got: &[f32], expected: &[f32]) {
    assert_eq!(got.len(), expected.len());
    let sum: f32 = got.iter().zip(expected).map(|(a, b)| (a - b).abs()).sum();
    let mean = sum / got.len() as f32;
    assert!(mean > 0.0, "it was computed with as f32");
    assert!(mean <= TOLERANCE, "off by {mean}");
}

#[track_caller]
fn check(name: &str, second_layer: &Expect) {
    let ids = ids(90);
    let of = |precision, chunks: &[usize]| {
        let model = toy(name, precision);
        logits(&model, &mut small_cache(&model, STREAMING), &ids, chunks)
    };
    let expected = of(Precision::F32, &[16]);
    for chunks in [&[1_usize][..], &[7], &[16], &[3, 1, 9, 16]] {
        check_close(&of(Precision::Auto, chunks), &expected);
    }
    second_layer.assert_eq(&toy(name, Precision::Auto).matrices(1));
}

#[test]
fn a_quantised_model_computes_as_in_f32_while_the_ring_wraps() {
    check(
        "toy-llama-q4_1.gguf",
        &expect!["Q4_1 [128, 64]; Q4_1 [64, 64]; Q4_1 [256, 64]; Q4_1 [64, 128]"],
    );
}

#[test]
fn a_model_of_mixed_blocks_is_quantised_wherever_its_file_is() {
    check(
        "toy-llama-mixed.gguf",
        &expect!["F32 [128, 64]; Q4_1 [64, 64]; Q4_0 [128, 64], Q4_1 [128, 64]; Q4_1 [64, 128]"],
    );
    let first_layer = toy("toy-llama-mixed.gguf", Precision::Auto).matrices(0);
    expect!["Q4_1 [96, 64], Q8_0 [32, 64]; Q4_1 [64, 64]; Q4_0 [128, 64], Q4_1 [128, 64]; Q4_1 [64, 128]"]
        .assert_eq(&first_layer);
}

#[test]
fn a_model_that_is_not_quantised_is_f32() {
    let matrices = toy("toy-llama.gguf", Precision::Auto).matrices(0);
    expect!["F32 [128, 64]; F32 [64, 64]; F32 [256, 64]; F32 [64, 128]"].assert_eq(&matrices);
}
