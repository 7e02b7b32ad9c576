//! The progress of a migration.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::clock::Environment;
use crate::cutover::meter::StageTimes;
use crate::id::{MigrationId, ObjectId};
use crate::migration::limits::throttle::ThrottleReason;
use crate::progress::{self, CallbackFaults, Stamped};
use crate::protocol::phase::MigrationPhase;
use crate::protocol::status::{MigrationStatus, Step};

/// The progress of a migration. Counts are of the current run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Progress {
    /// The migration.
    pub migration: MigrationId,
    /// Its status.
    pub status: MigrationStatus,
    /// The most recent step.
    pub step: Step,
    /// The most recently updated object.
    pub object: Option<ObjectId>,
    /// Objects that are migrated, up to date or failed.
    pub objects_done: u64,
    /// Objects that failed; included in `objects_done`.
    pub objects_failed: u64,
    /// Total number of objects, if known.
    pub objects_total: Option<u64>,
    /// Source events copied.
    pub events_copied: u64,
    /// Source events verified.
    pub events_verified: u64,
    /// Events written to backups and archives.
    pub events_backed_up: u64,
    /// Bytes of source events copied, uncompressed.
    pub bytes_copied: u64,
    /// Source events of the objects that are migrated: of those counted so far, where
    /// `events_total_at_least` is set.
    pub events_total: Option<u64>,
    /// Whether not every object of the scope is counted yet.
    #[serde(default)]
    pub events_total_at_least: bool,
    /// Source events analysed before they are copied.
    #[serde(default)]
    pub events_analysed: u64,
    /// The part of the work that is done, in percent: weighted by the time that each phase takes.
    #[serde(default)]
    pub percent: Option<u8>,
    /// The phase last published to applications, of the most recently updated object.
    pub phase: MigrationPhase,
    /// Source events that the target is not complete for, as of the last read of the source; of the
    /// most recently updated object.
    pub lag: Option<u64>,
    /// Source events copied and compared per second, smoothed.
    pub events_per_second: u64,
    /// Bytes of source events copied per second, smoothed.
    pub bytes_per_second: u64,
    /// Estimated time left, at the measured rates of each phase. Absent while it waits.
    pub eta: Option<Duration>,
    /// Time spent in each stage.
    pub stages: StageTimes,
    /// Close attempts lost to a concurrent append.
    pub lost_close_attempts: u64,
    /// The limit or callback that currently slows it down.
    pub throttled_by: Option<ThrottleReason>,
    /// What it currently waits for, if it is idle.
    pub waiting_for: Option<String>,
    /// Time of this progress.
    pub at: Timestamp,
    /// Time since the start of this run.
    pub elapsed: Duration,
}

impl Stamped for Progress {
    fn stamp(&mut self, at: Timestamp, elapsed: Duration) {
        (self.at, self.elapsed) = (at, elapsed);
    }
}

/// The callbacks that receive a migration's progress, and their rate limit.
pub type ProgressOptions = progress::ProgressOptions<Progress>;

pub(crate) type Reporter = progress::Reporter<Progress>;

impl Reporter {
    pub(crate) fn start(
        options: ProgressOptions,
        environment: &Environment,
        migration: MigrationId,
    ) -> Self {
        let progress = Progress {
            migration,
            status: MigrationStatus::Pending,
            step: Step::AcquireLock,
            object: None,
            objects_done: 0,
            objects_failed: 0,
            objects_total: None,
            events_copied: 0,
            events_verified: 0,
            events_backed_up: 0,
            bytes_copied: 0,
            events_total: None,
            events_total_at_least: false,
            events_analysed: 0,
            percent: None,
            phase: MigrationPhase::Normal,
            lag: None,
            events_per_second: 0,
            bytes_per_second: 0,
            eta: None,
            stages: StageTimes::default(),
            lost_close_attempts: 0,
            throttled_by: None,
            waiting_for: None,
            at: environment.clock.now(),
            elapsed: Duration::ZERO,
        };
        Self::begin(options, environment, progress)
    }

    /// Notifies the callbacks of the last progress and waits briefly until they have returned.
    pub(crate) async fn finish(&self, status: MigrationStatus) -> CallbackFaults {
        self.end(|progress| progress.status = status).await
    }
}
