//! Multiplies a Q4_1 matrix of 4,096 by 4,096 with one row and with 64, and prints the speed and the ratio to plain
//! Rust.

use std::time::{Duration, Instant};

use streaming_llm_quant::{Activations, BlockType, Kernel, QuantError, QuantMatrix};

const SIZE: usize = 4_096;

/// The fastest run counts: disturbances only ever make a run slower.
const RUNS: usize = 5;

fn main() -> Result<(), QuantError> {
    let block: Vec<u8> = [0x00, 0x2c, 0x00, 0xa8].into_iter().chain(0x40..0x50).collect();
    let bytes = block.repeat(SIZE * SIZE / 32);
    let matrix = QuantMatrix::new(BlockType::Q4_1, SIZE, SIZE, &bytes)?;
    let portable = matrix.clone().with_kernel(Kernel::portable());
    for tokens in [1, 64] {
        let values: Vec<f32> = (0..tokens * SIZE).map(|i| (i as f32).sin()).collect();
        let (fast, fast_time) = multiply(&matrix, &values)?;
        let (plain, plain_time) = multiply(&portable, &values)?;
        assert_eq!(fast, plain, "kernels differ in speed alone");
        let seconds = fast_time.as_secs_f64();
        println!(
            "{tokens:2} rows, {}: {:.1} GB/s, {:.1} GMAC/s, {:.1} times as fast as portable",
            Kernel::detect(),
            matrix.bytes() as f64 / seconds / 1e9,
            (tokens * SIZE * SIZE) as f64 / seconds / 1e9,
            plain_time.as_secs_f64() / seconds,
        );
    }
    Ok(())
}

/// Returns all outputs, and the time they took including the rounding of the activations.
fn multiply(matrix: &QuantMatrix, values: &[f32]) -> Result<(Vec<f32>, Duration), QuantError> {
    let mut activations = Activations::new();
    let mut outputs = vec![0.0; values.len()];
    let mut best = Duration::MAX;
    for _ in 0..RUNS {
        let start = Instant::now();
        activations.quantize(values, SIZE)?;
        let mut out: Vec<&mut [f32]> = outputs.chunks_exact_mut(SIZE).collect();
        matrix.multiply(0..SIZE, &activations, &mut out)?;
        best = best.min(start.elapsed());
    }
    Ok((outputs, best))
}
