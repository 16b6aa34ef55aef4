//! Tests of the dequantisers against values made by the `gguf` Python package (`fixtures/make_vectors.py`), and of the
//! errors for wrong lengths.

mod activations;
mod product;
mod quantize;

use crate::{BlockType, QuantError, dequantize};

const TYPES: [BlockType; 13] = [
    BlockType::F32,
    BlockType::F16,
    BlockType::Bf16,
    BlockType::Q4_0,
    BlockType::Q4_1,
    BlockType::Q5_0,
    BlockType::Q5_1,
    BlockType::Q8_0,
    BlockType::Q2K,
    BlockType::Q3K,
    BlockType::Q4K,
    BlockType::Q5K,
    BlockType::Q6K,
];

/// Dequantises `blocks` and compares with `values` bit for bit.
#[track_caller]
fn check(block_type: BlockType, blocks: &[u8], values: &[u8]) {
    let (expected, rest) = values.as_chunks::<4>();
    assert!(
        rest.is_empty() && !expected.is_empty(),
        "the fixture holds whole values"
    );
    let mut out = vec![f32::NAN; expected.len()];
    dequantize(block_type, blocks, &mut out).expect("the fixture holds whole blocks");
    for (i, (out, expected)) in out.iter().zip(expected).enumerate() {
        let expected = f32::from_le_bytes(*expected);
        assert_eq!(
            out.to_bits(),
            expected.to_bits(),
            "{block_type} value {i}: {out} is not {expected}"
        );
    }
}

#[test]
fn every_type_matches_the_gguf_package() {
    check(
        BlockType::F32,
        include_bytes!("../fixtures/f32.blocks.bin"),
        include_bytes!("../fixtures/f32.values.bin"),
    );
    check(
        BlockType::F16,
        include_bytes!("../fixtures/f16.blocks.bin"),
        include_bytes!("../fixtures/f16.values.bin"),
    );
    check(
        BlockType::Bf16,
        include_bytes!("../fixtures/bf16.blocks.bin"),
        include_bytes!("../fixtures/bf16.values.bin"),
    );
    check(
        BlockType::Q4_0,
        include_bytes!("../fixtures/q4_0.blocks.bin"),
        include_bytes!("../fixtures/q4_0.values.bin"),
    );
    check(
        BlockType::Q4_1,
        include_bytes!("../fixtures/q4_1.blocks.bin"),
        include_bytes!("../fixtures/q4_1.values.bin"),
    );
    check(
        BlockType::Q8_0,
        include_bytes!("../fixtures/q8_0.blocks.bin"),
        include_bytes!("../fixtures/q8_0.values.bin"),
    );
    check(
        BlockType::Q5_0,
        include_bytes!("../fixtures/q5_0.blocks.bin"),
        include_bytes!("../fixtures/q5_0.values.bin"),
    );
    check(
        BlockType::Q5_1,
        include_bytes!("../fixtures/q5_1.blocks.bin"),
        include_bytes!("../fixtures/q5_1.values.bin"),
    );
    check(
        BlockType::Q2K,
        include_bytes!("../fixtures/q2_k.blocks.bin"),
        include_bytes!("../fixtures/q2_k.values.bin"),
    );
    check(
        BlockType::Q3K,
        include_bytes!("../fixtures/q3_k.blocks.bin"),
        include_bytes!("../fixtures/q3_k.values.bin"),
    );
    check(
        BlockType::Q4K,
        include_bytes!("../fixtures/q4_k.blocks.bin"),
        include_bytes!("../fixtures/q4_k.values.bin"),
    );
    check(
        BlockType::Q5K,
        include_bytes!("../fixtures/q5_k.blocks.bin"),
        include_bytes!("../fixtures/q5_k.values.bin"),
    );
    check(
        BlockType::Q6K,
        include_bytes!("../fixtures/q6_k.blocks.bin"),
        include_bytes!("../fixtures/q6_k.values.bin"),
    );
}

#[test]
fn a_wrong_number_of_bytes_is_refused() {
    for block_type in TYPES {
        let values = 2 * block_type.block_len();
        let bytes = vec![0; 2 * block_type.block_bytes() + 1];
        let mut out = vec![0.0; values];
        for len in [0, 1, bytes.len() - 2, bytes.len()] {
            let error = dequantize(block_type, &bytes[..len], &mut out);
            assert_eq!(
                error,
                Err(QuantError::WrongLength {
                    block_type,
                    values,
                    bytes: len
                })
            );
        }
        assert_eq!(dequantize(block_type, &bytes[..bytes.len() - 1], &mut out), Ok(()));
    }
}

#[test]
fn a_partial_block_is_refused() {
    let block_type = BlockType::Q4_1;
    let error = dequantize(block_type, &[0; 20], &mut [0.0; 31]).expect_err("31 values are no block");
    assert_eq!(error, QuantError::PartialBlock { block_type, values: 31 });
    assert_eq!(
        error.to_string(),
        "31 values are not whole blocks of Q4_1 (32 values each)"
    );
}

#[test]
fn type_numbers_are_those_of_ggml() {
    let known = [
        (0, "F32"),
        (1, "F16"),
        (2, "Q4_0"),
        (3, "Q4_1"),
        (6, "Q5_0"),
        (7, "Q5_1"),
        (8, "Q8_0"),
        (10, "Q2_K"),
        (11, "Q3_K"),
        (12, "Q4_K"),
        (13, "Q5_K"),
        (14, "Q6_K"),
        (30, "BF16"),
    ];
    for id in 0..64 {
        let name = known
            .iter()
            .find(|(known, _)| *known == id)
            .map(|(_, name)| (*name).to_owned());
        let found = BlockType::from_ggml(id).map(|block_type| block_type.to_string());
        assert_eq!(found, name.ok_or(QuantError::UnknownType { id }));
    }
}

#[test]
fn sizes_never_overflow() {
    assert_eq!(BlockType::Q4_1.bytes_for(576), Some(360));
    assert_eq!(BlockType::Q4_1.bytes_for(33), None);
    assert_eq!(BlockType::F32.bytes_for(usize::MAX), None);
    assert_eq!(BlockType::Q8_0.bytes_for(usize::MAX - 31), None);
    assert_eq!(BlockType::F16.bytes_for(0), Some(0));
}
