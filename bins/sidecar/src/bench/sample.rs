//! The statistics of a few runs of one measurement.

/// Values of the same measurement, one a run.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Sample(pub(super) Vec<f64>);

impl Sample {
    /// Returns the middle value, or the mean of the two in the middle; NaN for an empty sample.
    pub(super) fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        match sorted.len() {
            0 => f64::NAN,
            n if n % 2 == 1 => sorted[n / 2],
            n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
        }
    }

    /// Returns the smallest value; infinity for an empty sample.
    pub(super) fn min(&self) -> f64 {
        self.0.iter().copied().fold(f64::INFINITY, f64::min)
    }

    /// Returns the greatest value; negative infinity for an empty sample.
    pub(super) fn max(&self) -> f64 {
        self.0.iter().copied().fold(f64::NEG_INFINITY, f64::max)
    }

    /// Divides each value by the one of `other` in the same run.
    pub(super) fn over(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(a, b)| a / b).collect())
    }

    /// Applies `change` to each value.
    pub(super) fn map(&self, change: impl Fn(f64) -> f64) -> Self {
        Self(self.0.iter().copied().map(change).collect())
    }

    /// Adds the value of a run.
    pub(super) fn push(&mut self, value: f64) {
        self.0.push(value);
    }
}
