//! Collects latencies and reduces them to percentiles.

use std::time::Duration;

use crate::clock;
use crate::error::{LoadError, Result};

/// Every latency of a measurement.
#[derive(Debug, Default)]
pub(crate) struct Latencies {
    nanos: Vec<u64>,
}

/// The percentiles of a measurement, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Percentiles {
    pub(crate) count: usize,
    pub(crate) p50_ms: f64,
    pub(crate) p90_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) max_ms: f64,
}

impl Latencies {
    pub(crate) fn add(&mut self, latency: Duration) {
        self.nanos.push(u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX));
    }

    /// Adds the age of every stamp in a token's text.
    pub(crate) fn add_stamps(&mut self, token: &str) -> Result<()> {
        for stamp in token.split_whitespace() {
            let stamp = stamp.parse().map_err(|_| LoadError::Frame {
                frame: token.to_owned(),
            })?;
            self.add(clock::age(stamp));
        }
        Ok(())
    }

    /// Returns how many latencies there are.
    pub(crate) fn count(&self) -> u64 {
        self.nanos.len() as u64
    }

    pub(crate) fn extend(&mut self, other: Self) {
        self.nanos.extend(other.nanos);
    }

    /// Computes the percentiles; all zero when nothing was measured.
    pub(crate) fn percentiles(mut self) -> Percentiles {
        self.nanos.sort_unstable();
        let at = |share: f64| nearest_rank_ms(&self.nanos, share);
        Percentiles {
            count: self.nanos.len(),
            p50_ms: at(0.50),
            p90_ms: at(0.90),
            p99_ms: at(0.99),
            max_ms: at(1.0),
        }
    }
}

/// Returns the smallest value that `share` of all values don't exceed.
fn nearest_rank_ms(sorted_nanos: &[u64], share: f64) -> f64 {
    let rank = (share * sorted_nanos.len() as f64).ceil() as usize;
    let nanos = sorted_nanos.get(rank.saturating_sub(1)).copied().unwrap_or(0);
    nanos as f64 / 1e6
}

/// Returns the median of a few measurements; of an even number, the lower of the two in the middle.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values
        .get(values.len().saturating_sub(1) / 2)
        .copied()
        .unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Latencies, Percentiles, median};

    #[test]
    fn percentiles_are_nearest_ranks() {
        let mut latencies = Latencies::default();
        (1..=200).rev().for_each(|ms| latencies.add(Duration::from_millis(ms)));
        let expected = Percentiles {
            count: 200,
            p50_ms: 100.0,
            p90_ms: 180.0,
            p99_ms: 198.0,
            max_ms: 200.0,
        };
        assert_eq!(latencies.percentiles(), expected);
        assert_eq!(Latencies::default().percentiles(), Percentiles::default());
    }

    #[test]
    fn median_is_the_middle() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.0);
    }
}
