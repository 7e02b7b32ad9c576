//! Time spent in each stage of a run.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::work::Work;
use crate::clock::Clock;

/// Time spent in each stage of a run so far, summed over concurrent objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StageTimes {
    /// Reading cells.
    pub read: Duration,
    /// Transforming events.
    pub transform: Duration,
    /// Appending cells to targets.
    pub append: Duration,
    /// Waiting for a limit.
    pub throttled: Duration,
}

/// A stage of a run.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Stage {
    Read,
    Transform,
    Append,
    Throttled,
}

/// Sums the time spent in each stage of a run.
#[derive(Debug)]
pub(crate) struct Meter {
    clock: Arc<dyn Clock>,
    micros: [AtomicU64; 4],
    work: Work,
}

impl Meter {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self {
            clock,
            micros: Default::default(),
            work: Work::default(),
        })
    }

    /// Returns the work of the run, by phase.
    pub(crate) fn work(&self) -> &Work {
        &self.work
    }

    /// Returns the [shared time](Work::shared_time).
    pub(crate) fn shared_time(&self) -> Duration {
        self.work.shared_time(self.now())
    }

    pub(crate) fn now(&self) -> Duration {
        self.clock.monotonic()
    }

    /// Adds the time since `since` to a stage, and returns it.
    pub(crate) fn count(&self, stage: Stage, since: Duration) -> Duration {
        let took = self.now().saturating_sub(since);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.micros[stage as usize].fetch_add(micros, Ordering::Relaxed);
        took
    }

    pub(crate) fn times(&self) -> StageTimes {
        let of = |stage: Stage| {
            Duration::from_micros(self.micros[stage as usize].load(Ordering::Relaxed))
        };
        StageTimes {
            read: of(Stage::Read),
            transform: of(Stage::Transform),
            append: of(Stage::Append),
            throttled: of(Stage::Throttled),
        }
    }
}
