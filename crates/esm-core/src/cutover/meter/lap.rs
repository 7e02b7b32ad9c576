//! What is timed: an object under way, its rest, a phase of a large object.

use std::time::Duration;

use super::stages::Meter;
use super::work::Phase;

/// An object under way, until it is dropped.
#[derive(Debug)]
pub(crate) struct UnderWay<'a>(&'a Meter);

impl<'a> UnderWay<'a> {
    pub(crate) fn begin(meter: &'a Meter) -> Self {
        meter
            .work()
            .change_objects(meter.now(), |objects| objects + 1);
        Self(meter)
    }
}

/// An object under way that waits for a command, until it is dropped: no time is charged to it.
#[derive(Debug)]
pub(crate) struct Resting<'a>(&'a Meter);

impl<'a> Resting<'a> {
    pub(crate) fn begin(meter: &'a Meter) -> Self {
        let less = |objects| objects - 1;
        meter.work().change_objects(meter.now(), less);
        Self(meter)
    }
}

impl Drop for Resting<'_> {
    fn drop(&mut self) {
        self.0
            .work()
            .change_objects(self.0.now(), |objects| objects + 1);
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let less = |objects| objects - 1;
        self.0.work().change_objects(self.0.now(), less);
    }
}

/// Measures a phase of a large object, with the waits for its limits. Of a small object it measures
/// nothing.
#[derive(Debug)]
pub(crate) struct Lap<'a> {
    meter: Option<&'a Meter>,
    phase: Phase,
    since: Duration,
}

impl<'a> Lap<'a> {
    pub(crate) fn start(meter: &'a Meter, phase: Phase, large: bool) -> Self {
        Self {
            meter: large.then_some(meter),
            phase,
            since: meter.shared_time(),
        }
    }

    /// Waits for other work under way. Neither this phase nor the share of an object is charged.
    pub(crate) async fn rest<T>(&mut self, wait: impl Future<Output = T>) -> T {
        let Some(meter) = self.meter else {
            return wait.await;
        };
        let began = meter.shared_time();
        let resting = Resting::begin(meter);
        let waited = wait.await;
        drop(resting);
        self.since += meter.shared_time().saturating_sub(began);
        waited
    }

    /// Counts the time since the last call, and the units done in it.
    pub(crate) fn done(&mut self, units: u64) {
        let Some(meter) = self.meter else { return };
        let now = meter.shared_time();
        let took = now.saturating_sub(self.since);
        meter.work().add(self.phase, units, took);
        self.since = now;
    }
}
