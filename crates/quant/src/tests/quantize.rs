//! Tests of quantising against bytes that the `gguf` Python package made of the same values, and of values that can't
//! be quantised.

use proptest::prelude::*;

use crate::{BlockType, QuantError, dequantize, quantize};

/// The blocks that gguf 0.19 makes of [`values`]. To make them again, in Python: `gguf.quantize(values,
/// gguf.GGMLQuantizationType.Q8_0).tobytes().hex()`, where `values` is a numpy array of float32, and the same for Q4_0.
const Q8_0: &str = "f0230016a93ed267fa8d22b54bde7306992ec257ea7f12a53ace63f6891eb147\
                    da6faf2302922cbb55e57f0f9e38c862f1811bab45d46efe8d28b751e17b0a9a34c45eed";
const Q4_0: &str = "e0b3c8379d047be248bf269df36ad148ae15a0b348bf158cf36ad037ae047ce259cf269d";

/// Returns two blocks of odd multiples of 1/32 in mixed order, and a negative zero.
fn values() -> Vec<f32> {
    let mut values: Vec<f32> = (0..64_u8).map(|i| (f32::from(i * 37 % 64) - 31.5) / 16.0).collect();
    values[0] = -0.0;
    values
}

fn quantized(block_type: BlockType, values: &[f32]) -> Result<Vec<u8>, QuantError> {
    let mut out = vec![0xff; block_type.bytes_for(values.len()).unwrap_or(0)];
    quantize(block_type, values, &mut out).map(|()| out)
}

#[track_caller]
fn check(block_type: BlockType, values: &[f32], expected: &str) {
    let bytes = quantized(block_type, values).expect("they can be quantised");
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, expected, "{block_type}");
}

#[test]
fn blocks_are_those_of_the_reference() {
    check(BlockType::Q8_0, &values(), Q8_0);
    check(BlockType::Q4_0, &values(), Q4_0);
}

#[test]
fn ties_round_away_from_zero_and_zeros_have_no_scale() {
    let mut values = [0.0; 32];
    check(BlockType::Q8_0, &values, &"00".repeat(34));
    // The reference divides 0 by -8.
    check(BlockType::Q4_0, &values, &format!("0080{}", "88".repeat(16)));
    values[..5].copy_from_slice(&[127.0, 0.5, -0.5, 1.5, -2.5]);
    check(BlockType::Q8_0, &values, &format!("003c7f01ff02fd{}", "00".repeat(27)));
}

#[test]
fn the_largest_value_gets_the_lowest_quant_in_q4_0() {
    let mut values = [0.0; 32];
    (values[1], values[17]) = (8.0, -8.0);
    check(BlockType::Q4_0, &values, &format!("00bc88f0{}", "88".repeat(14)));
    (values[1], values[17]) = (-8.0, 8.0);
    check(BlockType::Q4_0, &values, &format!("003c88f0{}", "88".repeat(14)));
}

#[test]
fn nan_and_too_large_values_are_named() {
    for (value, block_types) in [
        (f32::NAN, [BlockType::Q8_0, BlockType::Q4_0].as_slice()),
        (f32::INFINITY, &[BlockType::Q8_0, BlockType::Q4_0]),
        (f32::NEG_INFINITY, &[BlockType::Q8_0, BlockType::Q4_0]),
        (8.4e6, &[BlockType::Q8_0, BlockType::Q4_0]),
        (-5.3e5, &[BlockType::Q4_0]),
    ] {
        let mut values = values();
        values[41] = value;
        for &block_type in block_types {
            let error = quantized(block_type, &values).expect_err("it can't be quantised");
            assert_eq!(error, QuantError::NotFinite { value: 41 }, "{value} to {block_type}");
            assert_eq!(
                error.to_string(),
                "value 41 is not a number, or too large to be quantised"
            );
        }
    }
    let mut values = values();
    values[41] = 8.3e6;
    assert!(quantized(BlockType::Q8_0, &values).is_ok());
}

#[test]
fn partial_blocks_and_unsupported_targets_are_refused() {
    let refused = |block_type, values: usize, bytes: usize| {
        let error = quantize(block_type, &vec![0.0; values], &mut vec![0; bytes]).expect_err("it is refused");
        error.to_string()
    };
    assert_eq!(
        refused(BlockType::Q8_0, 33, 34),
        "33 values are not whole blocks of Q8_0 (32 values each)"
    );
    assert_eq!(
        refused(BlockType::Q4_0, 32, 17),
        "32 values of Q4_0 do not take 17 bytes"
    );
    for block_type in super::TYPES {
        if ![BlockType::Q8_0, BlockType::Q4_0].contains(&block_type) {
            let error = quantized(block_type, &[0.0; 256]);
            assert_eq!(error, Err(QuantError::NotQuantizable { block_type }));
        }
    }
}

proptest! {
    #[test]
    fn errors_stay_within_the_step_of_the_block(values in prop::collection::vec(-1e3_f32..1e3, 96)) {
        for (block_type, steps) in [(BlockType::Q8_0, 254.0), (BlockType::Q4_0, 8.0)] {
            let bytes = quantized(block_type, &values).expect("they are numbers");
            let mut back = vec![f32::NAN; values.len()];
            dequantize(block_type, &bytes, &mut back).expect("they are blocks");
            for (values, back) in values.chunks(32).zip(back.chunks(32)) {
                let max = values.iter().fold(0.0_f32, |max, value| max.max(value.abs()));
                // The scale is an f16, with an error of up to 1/2,048.
                let tolerance = max * (1.0 / steps + 1.0 / 2_048.0) + 1e-4;
                for (value, back) in values.iter().zip(back) {
                    prop_assert!((value - back).abs() <= tolerance, "{value} became {back} in {block_type}");
                }
            }
        }
    }
}
