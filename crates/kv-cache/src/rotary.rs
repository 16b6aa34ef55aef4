//! Rotary angles, exact at any position of a stream without end.

/// The frequencies of rotary position embedding (RoPE, arXiv:2104.09864) for one head size.
///
/// Pair `i` of a head is rotated by `position · base^(-2i / head_dim)`. At positions in the millions, f32 can't
/// represent that angle; here it is a product of two doubles whose rounding error is carried along, so that distances
/// keep their angle even at 10⁹.
#[derive(Debug, Clone, PartialEq)]
pub struct RotaryTable {
    frequencies: Vec<f64>,
}

impl RotaryTable {
    /// Computes the frequencies for heads of `head_dim` values (an even number) and the model's `base`.
    #[must_use]
    pub fn new(head_dim: usize, base: f64) -> Self {
        let n_pairs = head_dim / 2;
        let frequency = |pair: usize| base.powf(-(pair as f64) / n_pairs as f64);
        Self {
            frequencies: (0..n_pairs).map(frequency).collect(),
        }
    }

    /// Returns the number of rotated pairs: half the size of a head.
    #[must_use]
    pub fn n_pairs(&self) -> usize {
        self.frequencies.len()
    }

    /// Appends the cosine and sine of every pair's angle at `position`, which must be below 2⁵³.
    pub fn extend(&self, position: u64, cos: &mut Vec<f32>, sin: &mut Vec<f32>) {
        for &frequency in &self.frequencies {
            let (s, c) = sin_cos_of_product(position as f64, frequency);
            cos.push(c as f32);
            sin.push(s as f32);
        }
    }
}

/// Computes sine and cosine of `a · b` without the rounding error of the product.
///
/// `a · b = angle + error` exactly; the error is far below the square root of a double's precision, so the first-order
/// term of the Taylor series is enough to correct it. The standard library's `sin_cos` reduces a large double exactly.
fn sin_cos_of_product(a: f64, b: f64) -> (f64, f64) {
    let angle = a * b;
    let error = a.mul_add(b, -angle);
    let (sin, cos) = angle.sin_cos();
    (error.mul_add(cos, sin), (-error).mul_add(sin, cos))
}
