//! Tests of what quantised activations hold, and of the special blocks.

use proptest::{prelude::*, test_runner::RngSeed};

use crate::activations::Quantization;
use crate::layout::ActivationBlock;
use crate::{Activations, Kernel, QuantError};

fn block_of(values: [f32; 32]) -> ActivationBlock {
    let mut activations = Activations::new();
    activations.quantize(&values, 32).expect("one block");
    let [blocks] = activations.rows(0);
    blocks[0]
}

/// Quantises a block that starts with `values`, and compares its first quants.
#[track_caller]
fn check(values: &[f32], scale: f32, quants: &[i8]) {
    let mut block = [0.0; 32];
    block[..values.len()].copy_from_slice(values);
    let block = block_of(block);
    let same = block.scale == scale || block.scale.is_nan() && scale.is_nan();
    assert!(same, "the scale is {:e}", block.scale);
    assert_eq!(&block.quants[..quants.len()], quants);
    let sum: i32 = block.quants.iter().copied().map(i32::from).sum();
    assert_eq!(block.sum, sum);
}

#[test]
fn the_largest_value_becomes_127_and_ties_go_to_even() {
    check(
        &[127.0, -127.0, 0.5, 1.5, 2.5, -0.5, -1.5, 3.49],
        1.0,
        &[127, -127, 0, 2, 2, 0, -2, 3],
    );
    check(&[-0.254], 0.002, &[-127, 0]);
    check(&[f32::MAX, f32::MIN], f32::MAX / 127.0, &[127, -127]);
}

#[test]
fn tiny_values_become_zero() {
    check(&[], 0.0, &[0; 32]);
    check(&[-0.0, 1e-40], 0.0, &[0; 32]);
    check(&[1e-36, -1e-36], 0.0, &[0; 32]);
    check(&[2e-36, -2e-36], 2e-36 / 127.0, &[127, -127]);
}

#[test]
fn nan_and_infinity_make_the_block_nan() {
    for value in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        check(&[1.0, value], f32::NAN, &[0; 32]);
    }
}

#[test]
fn memory_is_reused_and_old_rows_are_gone() {
    let mut activations = Activations::new();
    activations.quantize(&[3.0; 128], 64).expect("two rows");
    assert_eq!((activations.n_rows(), activations.n_cols()), (2, 64));
    activations.quantize(&[-1.0; 32], 32).expect("one row");
    assert_eq!((activations.n_rows(), activations.n_cols()), (1, 32));
    let [blocks] = activations.rows(0);
    assert_eq!(blocks, [block_of([-1.0; 32])]);
}

#[test]
fn rows_that_are_not_whole_are_refused() {
    let mut activations = Activations::new();
    for (len, n_cols) in [(0, 0), (32, 0), (33, 33), (48, 32), (32, 64)] {
        let error = activations.quantize(&vec![0.0; len], n_cols).expect_err("it is no row");
        assert_eq!(
            error.to_string(),
            format!("{len} values are not rows of {n_cols}, or those are not whole blocks of 32")
        );
    }
}

#[test]
fn rows_quantised_in_parts_equal_those_of_one_call() {
    let values: Vec<f32> = (0..7 * 96).map(|i| (i as f32 * 0.3).sin()).collect();
    let mut expected = Activations::new();
    expected.quantize(&values, 96).expect("whole blocks");
    let mut shared = Activations::new();
    shared.quantize(&[9.0; 10 * 32], 32).expect("whole blocks");
    shared.resize(7, 96).expect("whole blocks");
    let mut values = values.chunks(96);
    let lengths = shared.parts_mut(3).map(|mut rows| {
        for idx in 0..rows.n_rows() {
            rows.quantize(idx, values.next().expect("seven rows")).expect("a row");
        }
        rows.n_rows()
    });
    assert_eq!(lengths.collect::<Vec<_>>(), [3, 3, 1]);
    assert_eq!(shared.rows::<7>(0), expected.rows::<7>(0));
}

#[test]
fn parts_know_their_first_row() {
    let mut activations = Activations::new();
    activations.resize(150, 64).expect("whole blocks");
    let mut next_row = 0;
    for part in activations.parts_mut(10) {
        assert_eq!(part.first_row(), next_row);
        next_row += part.n_rows();
    }
    assert_eq!(next_row, 150);
}

#[test]
fn partial_rows_and_rows_of_another_length_are_refused() {
    let mut activations = Activations::new();
    assert!(activations.resize(2, 33).is_err());
    assert!(activations.resize(2, 0).is_err());
    activations.resize(1, 64).expect("whole blocks");
    let mut rows = activations.parts_mut(1).next().expect("one row");
    assert_eq!(
        rows.quantize(0, &[0.0; 32]),
        Err(QuantError::PartialRow { values: 32, n_cols: 64 })
    );
}

/// The values' bits, without the payload of a NaN.
fn bits(block: &ActivationBlock) -> ([i8; 32], i32, [Option<u32>; 2]) {
    let floats = [block.scale, block.scaled_sum].map(|float| (!float.is_nan()).then_some(float.to_bits()));
    (block.quants, block.sum, floats)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, rng_seed: RngSeed::Fixed(11), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_block_has_the_same_bits_in_every_kernel(
        values in prop::array::uniform32(prop_oneof![
            30 => -1.0_f32..1.0,
            10 => prop::num::f32::NORMAL | prop::num::f32::SUBNORMAL | prop::num::f32::ZERO,
            1 => prop::num::f32::ANY,
        ]),
        exponent in -130..120,
    ) {
        let values = values.map(|value| value * (exponent as f32).exp2());
        let expected = quantized(&values, Kernel::portable());
        for kernel in Kernel::available() {
            prop_assert_eq!(bits(&quantized(&values, kernel)), bits(&expected), "{}", kernel);
        }
    }
}

fn quantized(values: &[f32; 32], kernel: Kernel) -> ActivationBlock {
    let mut blocks = [ActivationBlock::default()];
    kernel.run(Quantization {
        block: |_| *values,
        out: &mut blocks,
    });
    blocks[0]
}
