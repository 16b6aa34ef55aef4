//! What a few goes of one measurement say together.

/// Values of the same measurement, one a go.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Sample(pub(super) Vec<f64>);

impl Sample {
    /// The middle value, or the mean of the two in the middle; NaN when there is none.
    pub(super) fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        match sorted.len() {
            0 => f64::NAN,
            n if n % 2 == 1 => sorted[n / 2],
            n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
        }
    }

    /// The smallest value; infinite when there is none.
    pub(super) fn min(&self) -> f64 {
        self.0.iter().copied().fold(f64::INFINITY, f64::min)
    }

    /// The greatest value; infinite and negative when there is none.
    pub(super) fn max(&self) -> f64 {
        self.0.iter().copied().fold(f64::NEG_INFINITY, f64::max)
    }

    /// Each value of this over the one of `other` in the same go.
    pub(super) fn over(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(a, b)| a / b).collect())
    }

    /// The same goes, each value made into another.
    pub(super) fn map(&self, change: impl Fn(f64) -> f64) -> Self {
        Self(self.0.iter().copied().map(change).collect())
    }

    /// Adds a go.
    pub(super) fn push(&mut self, value: f64) {
        self.0.push(value);
    }
}
