//! Tests of products: the same bits from every kernel, tile and range, and close to the plain formulas.

use proptest::{prelude::*, test_runner::RngSeed};

use crate::{Activations, BlockType, GROUP_ROWS, Kernel, QuantError, QuantMatrix, dequantize};

const QUANTISED: [BlockType; 3] = [BlockType::Q4_0, BlockType::Q4_1, BlockType::Q8_0];

/// A matrix as it is stored, and the values that it is multiplied with.
#[derive(Debug, Clone)]
struct Case {
    block_type: BlockType,
    n_rows: usize,
    n_cols: usize,
    bytes: Vec<u8>,
    values: Vec<f32>,
}

impl Case {
    /// Fills a shape from a seed: scales and minimums of up to 2 with either sign, every quant, activations of many
    /// magnitudes.
    fn random(block_type: BlockType, [n_rows, n_blocks, tokens]: [usize; 3], seed: u64) -> Self {
        let n_cols = n_blocks * 32;
        let mut random = Random(seed);
        let mut bytes = vec![0; block_type.bytes_for(n_rows * n_cols).expect("whole blocks")];
        for block in bytes.chunks_exact_mut(block_type.block_bytes()) {
            block.fill_with(|| random.next() as u8);
            for half in 0..scale_bytes(block_type) / 2 {
                let scale = half::f16::from_f32(random.unit() * 2.0);
                block[2 * half..2 * half + 2].copy_from_slice(&scale.to_le_bytes());
            }
        }
        let sizes: Vec<f32> = (0..tokens * n_blocks).map(|_| (random.unit() * 8.0).exp2()).collect();
        let values = (0..tokens * n_cols).map(|i| random.unit() * sizes[i / 32]).collect();
        Self {
            block_type,
            n_rows,
            n_cols,
            bytes,
            values,
        }
    }

    fn matrix(&self, kernel: Kernel) -> QuantMatrix {
        QuantMatrix::new(self.block_type, self.n_rows, self.n_cols, &self.bytes)
            .expect("the case is sound")
            .with_kernel(kernel)
    }

    fn activations(&self) -> Activations {
        activations(&self.values, self.n_cols)
    }

    /// Computes all outputs, `[tokens, n_rows]`, by one product.
    fn outputs(&self, kernel: Kernel) -> Vec<f32> {
        multiply(&self.matrix(kernel), &self.activations())
    }

    /// Computes each token separately, and the rows in ranges.
    fn outputs_in_pieces(&self, kernel: Kernel) -> Vec<f32> {
        let matrix = self.matrix(kernel);
        let mut all = Vec::new();
        for values in self.values.chunks_exact(self.n_cols) {
            let activations = activations(values, self.n_cols);
            for first in (0..self.n_rows).step_by(2 * GROUP_ROWS) {
                let rows = first..self.n_rows.min(first + 2 * GROUP_ROWS);
                let mut out = vec![f32::NAN; rows.len()];
                matrix
                    .multiply(rows, &activations, &mut [&mut out])
                    .expect("whole groups");
                all.extend(out);
            }
        }
        all
    }

    /// Returns the stored matrix in f32.
    fn weights(&self) -> Vec<f32> {
        let mut weights = vec![0.0; self.n_rows * self.n_cols];
        dequantize(self.block_type, &self.bytes, &mut weights).expect("the case is sound");
        weights
    }
}

/// Returns the size of the scale, or of scale and minimum, at the start of a stored block.
fn scale_bytes(block_type: BlockType) -> usize {
    if block_type == BlockType::Q4_1 { 4 } else { 2 }
}

/// splitmix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Returns a number from -1 to 1.
    fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1 << 23) as f32 - 1.0
    }
}

fn activations(values: &[f32], n_cols: usize) -> Activations {
    let mut activations = Activations::new();
    activations.quantize(values, n_cols).expect("whole rows");
    activations
}

fn multiply(matrix: &QuantMatrix, activations: &Activations) -> Vec<f32> {
    let n_rows = matrix.n_rows();
    let mut values = vec![f32::NAN; activations.n_rows() * n_rows];
    let mut out: Vec<&mut [f32]> = values.chunks_exact_mut(n_rows).collect();
    matrix
        .multiply(0..n_rows, activations, &mut out)
        .expect("the shapes fit");
    values
}

#[track_caller]
fn check_bits(got: &[f32], expected: &[f32], what: &str) {
    assert_eq!(got.len(), expected.len(), "{what}");
    for (i, (got, expected)) in got.iter().zip(expected).enumerate() {
        let same = got.to_bits() == expected.to_bits() || got.is_nan() && expected.is_nan();
        assert!(same, "{what}: output {i} is {got:e} and not {expected:e}");
    }
}

/// Computes with every kernel that this processor supports: all at once, and in pieces.
#[track_caller]
fn check_every_kernel(case: &Case) -> Vec<f32> {
    let outputs = case.outputs(Kernel::portable());
    for kernel in Kernel::available() {
        check_bits(&case.outputs(kernel), &outputs, &kernel.to_string());
        let pieces = case.outputs_in_pieces(kernel);
        check_bits(&pieces, &outputs, &format!("{kernel}, in pieces"));
    }
    outputs
}

/// Compares with both plain formulas in f64: with the rounded activations, where only the rounding of f32 sums differs,
/// and with the original ones, where half a step of each activation is added to that.
#[track_caller]
fn check_numbers(case: &Case, outputs: &[f32]) {
    let (weights, n_cols) = (case.weights(), case.n_cols);
    let activations = case.activations();
    for (i, output) in outputs.iter().enumerate() {
        let (token, row) = (i / case.n_rows, i % case.n_rows);
        let [blocks] = activations.rows(token);
        let (mut rounded, mut given, mut size, mut steps) = (0.0, 0.0, 0.0, 0.0);
        for col in 0..n_cols {
            let weight = f64::from(weights[row * n_cols + col]);
            let value = f64::from(case.values[token * n_cols + col]);
            let scale = f64::from(blocks[col / 32].scale);
            rounded += weight * scale * f64::from(blocks[col / 32].quants[col % 32]);
            given += weight * value;
            size += weight.abs() * value.abs().max(scale);
            steps += weight.abs() * scale / 2.0;
        }
        // A block is added in one or two steps, a Q4 weight is d * q + m in two: some roundings of the largest partial
        // sum. Quants of 15 steps that cancel against the minimum make it larger than the weights.
        let rounding = (n_cols / 32 + 4) as f64 * f64::from(f32::EPSILON) * 32.0 * (size + steps);
        let output = f64::from(*output);
        assert!((output - rounded).abs() <= rounding, "{output} and not {rounded}, {i}");
        assert!(
            (output - given).abs() <= steps * 1.001 + rounding,
            "{output} and not {given}, {i}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, rng_seed: RngSeed::Fixed(7), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_shape_has_the_same_bits_in_every_kernel_and_is_near_the_formula(
        block_type in prop::sample::select(&QUANTISED[..]),
        n_rows in 1_usize..40,
        n_blocks in 1_usize..7,
        tokens in 0_usize..14,
        seed: u64,
    ) {
        let case = Case::random(block_type, [n_rows, n_blocks, tokens], seed);
        check_numbers(&case, &check_every_kernel(&case));
    }
}

#[test]
fn more_tokens_than_one_pass_have_the_same_bits() {
    for block_type in QUANTISED {
        for (tokens, seed) in [63, 64, 65, 135].into_iter().zip(1..) {
            let case = Case::random(block_type, [19, 3, tokens], seed);
            check_numbers(&case, &check_every_kernel(&case));
        }
    }
}

#[test]
fn the_largest_sums_do_not_overflow() {
    for (block_type, quant) in [
        (BlockType::Q4_0, 0xff),
        (BlockType::Q4_0, 0),
        (BlockType::Q4_1, 0xff),
        (BlockType::Q8_0, 0x7f),
        (BlockType::Q8_0, 0x80),
        (BlockType::Q8_0, 0xff),
    ] {
        for (signs, tokens) in [
            ([1.0, 1.0], 13),
            ([-1.0, -1.0], 13),
            ([1.0, -1.0], 13),
            ([1.0, -1.0], 70),
        ] {
            let mut case = Case::random(block_type, [9, 3, tokens], 2);
            for block in case.bytes.chunks_exact_mut(block_type.block_bytes()) {
                block[scale_bytes(block_type)..].fill(quant);
            }
            for (i, value) in case.values.iter_mut().enumerate() {
                *value = 127.0 * signs[i % 2];
            }
            check_numbers(&case, &check_every_kernel(&case));
        }
    }
}

#[test]
fn extreme_scales_have_the_same_bits_and_are_near_the_formula() {
    // The largest f16, the least normal one, the largest subnormal one, the least of all, and both zeros.
    for bits in [0x7bff_u16, 0x0400, 0x03ff, 0x8001, 0x0000, 0x8000] {
        for block_type in QUANTISED {
            let mut case = Case::random(block_type, [17, 2, 13], 6);
            for block in case.bytes.chunks_exact_mut(2 * block_type.block_bytes()) {
                for half in block[..scale_bytes(block_type)].chunks_exact_mut(2) {
                    half.copy_from_slice(&bits.to_le_bytes());
                }
            }
            check_numbers(&case, &check_every_kernel(&case));
        }
    }
}

#[test]
fn golden_hashes_hold_on_every_processor() {
    let mut hashes = Vec::new();
    for block_type in QUANTISED {
        let mut case = Case::random(block_type, [43, 7, 14], 8);
        // `Case::random` uses `exp2`, which libraries compute differently.
        let mut random = Random(9);
        case.values.fill_with(|| random.unit());
        let outputs = check_every_kernel(&case);
        // FNV-1a over 32-bit words.
        hashes.push(outputs.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, output| {
            (hash ^ u64::from(output.to_bits())).wrapping_mul(0x0100_0000_01b3)
        }));
    }
    // One hash per type. After an intended change of the order of operations or of a rounding: take the new hashes from
    // the failure of this test, once all kernels agree, and confirm them with `cargo xtask kernels aarch64`.
    assert_eq!(
        hashes,
        [0xbf8a_0a0c_973e_45ba, 0x384b_612c_cec8_6f7f, 0xb48e_170c_b91f_0516]
    );
}

#[test]
fn nan_and_infinity_affect_their_row_only() {
    let mut case = Case::random(BlockType::Q4_1, [12, 3, 66], 3);
    case.values[96 + 40] = f32::NAN;
    case.values[3 * 96 + 7] = f32::NEG_INFINITY;
    let outputs = check_every_kernel(&case);
    for (token, outputs) in outputs.chunks_exact(12).enumerate() {
        let expected = token == 1 || token == 3;
        assert!(
            outputs.iter().all(|output| output.is_nan() == expected),
            "token {token}: {outputs:?}"
        );
    }
    case.bytes[..2].copy_from_slice(&half::f16::INFINITY.to_le_bytes());
    let first = check_every_kernel(&case)[0];
    assert!(!first.is_finite(), "{first}");
}

#[test]
fn reused_memory_changes_no_output() {
    let mut reused = activations(&[7.0; 200 * 160], 160);
    for tokens in [130, 63, 70] {
        let case = Case::random(BlockType::Q4_1, [9, 3, tokens], 8);
        reused.quantize(&case.values, case.n_cols).expect("whole rows");
        let outputs = multiply(&case.matrix(Kernel::detect()), &reused);
        check_bits(&outputs, &case.outputs(Kernel::portable()), "reused memory");
    }
}

#[test]
fn a_matrix_takes_as_much_memory_as_its_file() {
    for block_type in QUANTISED {
        let case = Case::random(block_type, [16, 3, 1], 4);
        assert_eq!(case.matrix(Kernel::detect()).bytes(), case.bytes.len());
    }
}

#[track_caller]
fn check_refused(refused: Result<impl std::fmt::Debug, QuantError>, expected: &str) {
    assert_eq!(refused.expect_err("it is no matrix").to_string(), expected);
}

#[test]
fn invalid_matrices_are_refused() {
    let new = QuantMatrix::new;
    check_refused(
        new(BlockType::F16, 2, 1, &[0; 4]),
        "a matrix of F16 can't be multiplied as it is stored",
    );
    check_refused(
        new(BlockType::Q8_0, 0, 32, &[]),
        "a matrix of 0 rows and 32 columns is empty",
    );
    check_refused(
        new(BlockType::Q8_0, 2, 48, &[0; 102]),
        "48 values are not whole blocks of Q8_0 (32 values each)",
    );
    check_refused(
        new(BlockType::Q8_0, 2, 32, &[0; 67]),
        "64 values of Q8_0 do not take 67 bytes",
    );
    let huge = new(BlockType::Q8_0, usize::MAX / 32, 64, &[0; 68]);
    assert!(
        matches!(huge, Err(QuantError::WrongLength { bytes: 68, .. })),
        "{huge:?}"
    );
}

#[test]
fn mismatched_factors_are_refused_and_change_nothing() {
    let case = Case::random(BlockType::Q4_0, [20, 2, 1], 5);
    let (matrix, one) = (case.matrix(Kernel::detect()), case.activations());
    let refused = |rows: std::ops::Range<usize>, activations: &Activations, len| {
        let mut out = vec![7.0; len];
        let refused = matrix.multiply(rows, activations, &mut [&mut out]);
        assert!(out.iter().all(|value| *value == 7.0));
        refused
    };
    check_refused(
        refused(4..8, &one, 4),
        "rows 4 to 8 are not whole groups of 8 of a matrix of 20 rows",
    );
    check_refused(
        refused(0..12, &one, 12),
        "rows 0 to 12 are not whole groups of 8 of a matrix of 20 rows",
    );
    check_refused(
        refused(16..24, &one, 8),
        "rows 16 to 24 are not whole groups of 8 of a matrix of 20 rows",
    );
    check_refused(
        refused(0..20, &one, 16),
        "the product needs 1 outputs of 20 values each",
    );
    let two = activations(&[0.0; 128], 64);
    check_refused(
        refused(0..20, &two, 20),
        "the product needs 2 outputs of 20 values each",
    );
    let narrow = activations(&[0.0; 32], 32);
    check_refused(
        refused(0..20, &narrow, 20),
        "activations of 32 columns don't fit a matrix of 64",
    );
    let mut out = [f32::NAN; 4];
    matrix
        .multiply(16..20, &one, &mut [&mut out])
        .expect("the last group ends with the matrix");
}

#[test]
fn multiply_add_adds_with_one_rounding() {
    for block_type in QUANTISED {
        let case = Case::random(block_type, [13, 3, 6], 7);
        let products = case.outputs(Kernel::detect());
        let mut sums: Vec<f32> = (0..products.len()).map(|i| (i as f32 * 0.9).cos()).collect();
        let expected: Vec<u32> = sums
            .iter()
            .zip(&products)
            .map(|(sum, product)| (sum + product).to_bits())
            .collect();
        let mut out: Vec<&mut [f32]> = sums.chunks_mut(13).collect();
        case.matrix(Kernel::detect())
            .multiply_add(0..13, &case.activations(), &mut out)
            .expect("all fit");
        assert_eq!(sums.into_iter().map(f32::to_bits).collect::<Vec<_>>(), expected);
    }
}
