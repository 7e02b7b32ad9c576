//! Durations of several runs, and the figures that are printed of them.

use std::fmt;
use std::time::{Duration, Instant};

/// Runs something and says how long it took.
pub(crate) async fn timed<T>(work: impl Future<Output = T>) -> (Duration, T) {
    let begun = Instant::now();
    let done = work.await;
    (begun.elapsed(), done)
}

/// Measurements of the same thing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Series(Vec<f64>);

impl Series {
    /// Adds a measurement.
    pub(crate) fn add(&mut self, time: Duration) {
        self.push(time.as_secs_f64());
    }

    fn push(&mut self, value: f64) {
        let at = self.0.partition_point(|v| *v < value);
        self.0.insert(at, value);
    }

    /// The one in the middle; the mean of the two in the middle of an even number.
    pub(crate) fn median(&self) -> f64 {
        match self.0.len() {
            0 => f64::NAN,
            n if n % 2 == 1 => self.0[n / 2],
            n => f64::midpoint(self.0[n / 2 - 1], self.0[n / 2]),
        }
    }

    fn least(&self) -> f64 {
        self.0.first().copied().unwrap_or(f64::NAN)
    }

    fn most(&self) -> f64 {
        self.0.last().copied().unwrap_or(f64::NAN)
    }
}

/// Pairs of measurements that were taken one after the other, so that whatever else the machine did
/// touched both.
#[derive(Debug, Clone, Default)]
pub(crate) struct Comparison {
    ours: Series,
    baseline: Series,
    ratios: Series,
}

impl Comparison {
    /// Adds a pair.
    pub(crate) fn add(&mut self, ours: Duration, baseline: Duration) {
        self.ours.add(ours);
        self.baseline.add(baseline);
        self.ratios
            .push(ours.as_secs_f64() / baseline.as_secs_f64());
    }
}

impl fmt::Display for Comparison {
    /// The medians in seconds, the median of the ratios, and the least and largest ratio.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:>8.3} s {:>8.3} s {:>7.2}  ({:.2} … {:.2})",
            self.ours.median(),
            self.baseline.median(),
            self.ratios.median(),
            self.ratios.least(),
            self.ratios.most()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_one_in_the_middle() {
        let mut series = Series::default();
        assert!(series.median().is_nan());
        for (value, median) in [(9.0, 9.0), (1.0, 5.0), (3.0, 3.0), (4.0, 3.5)] {
            series.push(value);
            assert_eq!(series.median(), median);
        }
    }

    #[test]
    fn the_ratio_is_that_of_the_pairs() {
        let mut comparison = Comparison::default();
        for (ours, baseline) in [(2, 1), (30, 10), (4, 4)] {
            comparison.add(Duration::from_secs(ours), Duration::from_secs(baseline));
        }
        assert_eq!(
            comparison.to_string(),
            "   4.000 s    4.000 s    2.00  (1.00 … 3.00)"
        );
    }
}
