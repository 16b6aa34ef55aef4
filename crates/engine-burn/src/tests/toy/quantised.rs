//! The toy with quantised matrices: computed with as they are stored, or quantised when they are loaded.

mod folder;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use expect_test::{Expect, expect};
use model_files::ModelFiles;
use quant::{BlockType, dequantize, quantize};

use super::{STREAMING, ids, logits, small_cache};
use crate::{BurnEngineError, ComputeDevice, DeviceChoice, LlamaModel, Precision, Quantise};

/// What rounding activations to 8 bits may change in a logit on average; weights of 8 bits beside them don't show.
const TOLERANCE: f32 = 0.25;

/// The same as a part of the logits, for models whose logits are small.
const TOLERANCE_PART: f32 = 0.1;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fixtures/models")
        .join(name)
}

fn open(path: &Path, precision: Precision, quantise: Quantise, threads: usize) -> Result<LlamaModel, BurnEngineError> {
    let files = Arc::new(ModelFiles::open(path).expect("the toy can be read"));
    let device = ComputeDevice::open(DeviceChoice::Cpu, precision, Some(threads)).expect("the CPU is there");
    LlamaModel::load(files, &device, quantise)
}

fn toy(name: &str, precision: Precision) -> LlamaModel {
    quantised(name, precision, Quantise::Off)
}

fn quantised(name: &str, precision: Precision, quantise: Quantise) -> LlamaModel {
    open(&fixture(name), precision, quantise, 2).expect("the toy loads")
}

fn all_logits(model: &LlamaModel, chunks: &[usize]) -> Vec<f32> {
    logits(model, &mut small_cache(model, STREAMING), &ids(90), chunks)
}

/// Compares the mean, since the largest of some ten thousand logits is luck.
#[track_caller]
fn check_close(got: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(got.len(), expected.len());
    let sum: f32 = got.iter().zip(expected).map(|(a, b)| (a - b).abs()).sum();
    let mean = sum / got.len() as f32;
    assert!(mean > 0.0, "it was computed with as f32");
    assert!(mean <= tolerance, "off by {mean}");
}

#[track_caller]
fn check(name: &str, second_layer: &Expect) {
    let expected = all_logits(&toy(name, Precision::F32), &[16]);
    let model = toy(name, Precision::Auto);
    for chunks in [&[1_usize][..], &[7], &[16], &[3, 1, 9, 16]] {
        check_close(&all_logits(&model, chunks), &expected, TOLERANCE);
    }
    second_layer.assert_eq(&model.matrices(1));
}

/// Compares a folder's model that is quantised while it loads with itself in f32.
#[track_caller]
fn check_near(folder: &Path, quantise: Quantise, first_layer: &Expect) {
    let model = open(folder, Precision::Auto, quantise, 2).expect("it loads");
    first_layer.assert_eq(&model.matrices(0));
    let plain = open(folder, Precision::F32, quantise, 2).expect("it loads");
    let expected = all_logits(&plain, &[16]);
    let mean = expected.iter().map(|logit| logit.abs()).sum::<f32>() / expected.len() as f32;
    check_close(&all_logits(&model, &[16]), &expected, TOLERANCE_PART * mean);
}

/// Quantises the toy in f16 while it loads: the same bits in any chunks, on any threads, from either format. Gives its
/// logits.
#[track_caller]
fn check_loaded(quantise: Quantise, second_layer: &Expect, weights: &Expect) -> Vec<f32> {
    let model = quantised("toy-llama.gguf", Precision::Auto, quantise);
    second_layer.assert_eq(&model.matrices(1));
    weights.assert_eq(&model.stored_weights().to_string());
    let one_by_one = all_logits(&model, &[1]);
    let bits = |values: Vec<f32>| values.into_iter().map(f32::to_bits).collect::<Vec<_>>();
    let expected = bits(one_by_one.clone());
    for chunks in [&[7][..], &[16], &[3, 1, 9, 16]] {
        assert!(bits(all_logits(&model, chunks)) == expected, "chunks of {chunks:?}");
    }
    // Rows of queries and keys are in another order there, and each is quantised by itself.
    for (name, threads) in [("toy-llama.gguf", 1), ("toy-llama-hf", 2), ("toy-llama-hf", 1)] {
        let model = open(&fixture(name), Precision::Auto, quantise, threads).expect("the toy loads");
        assert!(
            bits(all_logits(&model, &[16])) == expected,
            "{name} on {threads} threads"
        );
    }
    one_by_one
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

#[test]
fn weights_in_f16_become_eight_bits_when_they_are_loaded() {
    let expected = all_logits(&toy("toy-llama.gguf", Precision::F32), &[16]);
    for quantise in [Quantise::Auto, Quantise::Q8_0] {
        let logits = check_loaded(
            quantise,
            &expect!["Q8_0 [128, 64]; Q8_0 [64, 64]; Q8_0 [256, 64]; Q8_0 [64, 128]"],
            &expect!["Q8_0 1 MiB"],
        );
        check_close(&logits, &expected, TOLERANCE);
    }
}

#[test]
fn weights_become_four_bits_if_that_is_asked_for() {
    check_loaded(
        Quantise::Q4_0,
        &expect!["Q4_0 [128, 64]; Q4_0 [64, 64]; Q4_0 [256, 64]; Q4_0 [64, 128]"],
        &expect!["Q4_0 1 MiB, Q8_0 1 MiB"],
    );
    // Random weights lose too much to say whether the logits are right, so these are what they become.
    let folder = folder::with_hidden_size(64, |_, values| {
        let mut bytes = vec![0; values.len() / 32 * BlockType::Q4_0.block_bytes()];
        quantize(BlockType::Q4_0, values, &mut bytes).expect("they are numbers");
        dequantize(BlockType::Q4_0, &bytes, values).expect("they are blocks");
    });
    check_near(
        folder.path(),
        Quantise::Q4_0,
        &expect!["Q4_0 [96, 64]; Q4_0 [64, 64]; Q4_0 [256, 64]; Q4_0 [64, 128]"],
    );
}

#[test]
fn what_is_stored_in_blocks_stays_as_it_is() {
    let model = quantised("toy-llama-mixed.gguf", Precision::Auto, Quantise::Q4_0);
    expect![
        "Q4_1 [64, 64], Q4_0 [32, 64], Q8_0 [32, 64]; Q4_1 [64, 64]; Q4_0 [128, 64], Q4_1 [128, 64]; Q4_1 [64, 128]"
    ]
    .assert_eq(&model.matrices(1));
    expect!["Q4_1 1 MiB, Q8_0 1 MiB, Q4_0 1 MiB"].assert_eq(&model.stored_weights().to_string());
}

#[test]
fn in_f32_nothing_is_quantised() {
    let model = quantised("toy-llama-mixed.gguf", Precision::F32, Quantise::Q4_0);
    expect!["F32 [128, 64]; F32 [64, 64]; F32 [256, 64]; F32 [64, 128]"].assert_eq(&model.matrices(1));
}

#[test]
fn rows_that_are_no_whole_blocks_are_f32() {
    let folder = folder::with_hidden_size(48, |_, _| ());
    check_near(
        folder.path(),
        Quantise::Auto,
        &expect!["F32 [80, 48]; F32 [48, 48]; F32 [256, 48]; Q8_0 [48, 128]"],
    );
}

#[test]
fn a_weight_that_is_no_number_is_named() {
    for weight in [f32::NAN, f32::INFINITY] {
        let folder = folder::with_hidden_size(64, |name, values| {
            if name == "model.layers.0.mlp.up_proj.weight" {
                values[64 * 9 + 21] = weight;
            }
        });
        let error = open(folder.path(), Precision::Auto, Quantise::Auto, 2).expect_err("it can't be quantised");
        assert_eq!(
            crate::error::with_sources(&error),
            "can't read the model's layer 0 FfnUp: value 21 is not a number, or too large to be quantised"
        );
        assert!(open(folder.path(), Precision::Auto, Quantise::Off, 2).is_ok());
    }
}
