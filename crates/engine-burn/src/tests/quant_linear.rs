//! Products with quantised matrices: the same bits for every chunk and any number of threads, alone and below others.

use std::sync::Arc;

use kv_cache::HeadShape;
use quant::{BlockType, QuantMatrix};

use crate::cache::KvShape;
use crate::model::backend::Backend;
use crate::model::cpu::Cpu;
use crate::model::cpu::linear::Linear;
use crate::model::cpu::quant_linear::QuantLinear;
use crate::threads::Threads;

/// Not whole groups of rows, and enough products for several parts.
const OUTPUTS: usize = 1_203;
const INPUTS: usize = 256;

/// Scales and minimums are halves between 0.0002 and 2.
fn matrix(block_type: BlockType, outputs: usize) -> QuantMatrix {
    let block = block_type.block_bytes();
    let n_halves = if block_type == BlockType::Q4_1 { 2 } else { 1 };
    let byte = |i: usize| match i % block {
        at if at < 2 * n_halves && at % 2 == 1 => 0x0c + (i / block % 0x34) as u8,
        _ => (i * i * 31 + i * 7) as u8,
    };
    let bytes: Vec<u8> = (0..outputs * INPUTS / 32 * block).map(byte).collect();
    QuantMatrix::new(block_type, outputs, INPUTS, &bytes).expect("whole blocks")
}

fn linear(matrices: Vec<QuantMatrix>) -> Linear {
    Linear::Quantised(QuantLinear::new(matrices))
}

/// The CPU for a model without layers.
pub(super) fn cpu(n_threads: usize) -> Cpu {
    let threads = Threads::new(n_threads).expect("the system has some threads");
    let heads = HeadShape {
        n_heads: 1,
        n_kv_heads: 1,
        head_dim: 2,
    };
    Cpu::new(Arc::new(threads), KvShape { heads, n_layers: 0 }, 10_000.0)
}

fn inputs(tokens: usize) -> Vec<f32> {
    (0..tokens * INPUTS).map(|i| (i as f32 * 0.37).sin() * 3.0).collect()
}

fn forward(cpu: &Cpu, linear: &Linear, outputs: usize, values: &[f32]) -> Vec<u32> {
    let zeros = cpu.upload(vec![0.0; values.len() / INPUTS * outputs], outputs);
    let outputs = cpu.add_linear(zeros, cpu.upload(values.to_vec(), INPUTS), linear);
    outputs.iter().copied().map(f32::to_bits).collect()
}

#[track_caller]
fn check_bits(matrices: &[QuantMatrix]) {
    let values = inputs(90);
    let linear = linear(matrices.to_vec());
    let expected = forward(&cpu(1), &linear, OUTPUTS, &values);
    for n_threads in [1, 2, 5] {
        let cpu = cpu(n_threads);
        for tokens in [1, 3, 4, 64, 90] {
            let chunks = values.chunks(tokens * INPUTS);
            let outputs: Vec<u32> = chunks
                .flat_map(|chunk| forward(&cpu, &linear, OUTPUTS, chunk))
                .collect();
            assert!(outputs == expected, "chunks of {tokens} on {n_threads} threads");
        }
    }
}

#[test]
fn every_chunk_and_any_number_of_threads_give_the_same_bits() {
    check_bits(&[matrix(BlockType::Q4_1, OUTPUTS)]);
}

#[test]
fn matrices_of_other_blocks_below_each_other_are_each_as_if_alone() {
    let matrices = [
        matrix(BlockType::Q4_1, 611),
        matrix(BlockType::Q8_0, 7),
        matrix(BlockType::Q4_0, 585),
    ];
    check_bits(&matrices);
    let values = inputs(5);
    let together = forward(&cpu(2), &linear(matrices.to_vec()), OUTPUTS, &values);
    let alone = matrices.map(|matrix| {
        let outputs = matrix.n_rows();
        forward(&cpu(1), &linear(vec![matrix]), outputs, &values)
    });
    for (token, row) in together.chunks(OUTPUTS).enumerate() {
        let of_token = alone.each_ref().map(|outputs| {
            let len = outputs.len() / 5;
            &outputs[token * len..][..len]
        });
        assert_eq!(row, of_token.concat());
    }
}
