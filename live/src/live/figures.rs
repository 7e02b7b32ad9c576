//! Percentiles of each phase, and their ratios to the quiet one over several runs.

use anyhow::{Context as _, Result};
use hdrhistogram::Histogram;

use super::phases::{Phase, Run, Sample};

/// The figures that are reported of some appends.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Latency {
    pub(super) appends: u64,
    /// In nanoseconds.
    pub(super) median: f64,
    pub(super) p99: f64,
    pub(super) most: f64,
    /// Requests to the storage, for each append.
    pub(super) requests: f64,
    pub(super) most_requests: u64,
}

impl Latency {
    pub(super) fn of<'a>(samples: impl Iterator<Item = &'a Sample>) -> Result<Self> {
        let mut histogram = Histogram::<u64>::new(3)?;
        let (mut requests, mut most_requests) = (0, 0);
        for sample in samples {
            histogram.record(sample.nanoseconds)?;
            requests += sample.requests;
            most_requests = most_requests.max(sample.requests);
        }
        let appends = histogram.len();
        Ok(Self {
            appends,
            median: histogram.value_at_quantile(0.5) as f64,
            p99: histogram.value_at_quantile(0.99) as f64,
            most: histogram.max() as f64,
            requests: requests as f64 / (appends.max(1)) as f64,
            most_requests,
        })
    }
}

/// A number of each run.
#[derive(Debug, Clone, Default)]
pub(super) struct Series(Vec<f64>);

impl Series {
    fn add(&mut self, value: f64) {
        let at = self.0.partition_point(|v| *v < value);
        self.0.insert(at, value);
    }

    /// The one in the middle, the least and the largest.
    pub(super) fn spread(&self) -> (f64, f64, f64) {
        let get = |at: usize| self.0.get(at).copied().unwrap_or(f64::NAN);
        let last = self.0.len().saturating_sub(1);
        let middle = f64::midpoint(get(last / 2), get(last.div_ceil(2)));
        (middle, get(0), get(last))
    }
}

/// A phase over all runs, in ratios to the quiet phase of the same run.
#[derive(Debug, Clone, Default)]
pub(super) struct Ratios {
    pub(super) appends: Series,
    pub(super) median: Series,
    pub(super) p99: Series,
    pub(super) most: Series,
    /// Requests beyond those of the quiet phase, for each append.
    pub(super) extra_requests: Series,
    pub(super) most_requests: Series,
}

/// All runs.
#[derive(Debug, Default)]
pub(super) struct Figures {
    pub(super) phases: [Ratios; Phase::ALL.len()],
    /// The appends that met a Close.
    pub(super) redirected: Ratios,
    /// The median of the quiet phase, in nanoseconds: a round trip, since an append is one request.
    pub(super) round_trip: Series,
    /// The longest append while the migrator was at work, in round trips.
    pub(super) stall: Series,
    /// The same beside a plain copy.
    pub(super) stall_beside_copy: Series,
}

impl Figures {
    pub(super) fn add(&mut self, run: &Run) -> Result<()> {
        let quiet = Latency::of(run.of(Phase::Quiet))?;
        for (phase, ratios) in Phase::ALL.into_iter().zip(&mut self.phases) {
            ratios.add(&Latency::of(run.of(phase))?, &quiet);
        }
        let redirected = run.samples.iter().filter(|sample| sample.redirected);
        self.redirected.add(&Latency::of(redirected)?, &quiet);
        self.round_trip.add(quiet.median);
        let longest = |of: &[Phase]| {
            let samples = run.samples.iter().filter(|s| of.contains(&s.phase));
            let longest = samples.map(|sample| sample.nanoseconds).max();
            let longest = longest.context("nothing was appended")?;
            anyhow::Ok(longest as f64 / quiet.median)
        };
        self.stall
            .add(longest(&[Phase::Migrating, Phase::Cutover])?);
        self.stall_beside_copy.add(longest(&[Phase::PlainCopy])?);
        Ok(())
    }
}

impl Ratios {
    fn add(&mut self, latency: &Latency, quiet: &Latency) {
        self.appends.add(latency.appends as f64);
        self.median.add(latency.median / quiet.median);
        self.p99.add(latency.p99 / quiet.p99);
        self.most.add(latency.most / quiet.most);
        self.extra_requests.add(latency.requests - quiet.requests);
        self.most_requests.add(latency.most_requests as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spread_is_the_middle_and_both_ends() {
        let mut series = Series::default();
        for (value, spread) in [
            (4.0, (4.0, 4.0, 4.0)),
            (2.0, (3.0, 2.0, 4.0)),
            (9.0, (4.0, 2.0, 9.0)),
        ] {
            series.add(value);
            assert_eq!(series.spread(), spread);
        }
    }
}
