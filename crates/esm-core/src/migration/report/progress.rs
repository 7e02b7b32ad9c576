//! Progress of a migration.

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

/// How far a migration is. Counts are of this run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Progress {
    /// The migration.
    pub migration: MigrationId,
    /// What it is doing.
    pub status: MigrationStatus,
    /// The step that last moved.
    pub step: Step,
    /// The object that last moved.
    pub object: Option<ObjectId>,
    /// Objects that are done, up to date or failed.
    pub objects_done: u64,
    /// Of them, those that failed.
    pub objects_failed: u64,
    /// Objects in all, where known.
    pub objects_total: Option<u64>,
    /// Source events copied.
    pub events_copied: u64,
    /// Source events verified.
    pub events_verified: u64,
    /// Events written to backups and archives.
    pub events_backed_up: u64,
    /// Bytes of source events copied, uncompressed.
    pub bytes_copied: u64,
    /// Source events of the single object that is migrated, where known.
    pub events_total: Option<u64>,
    /// What applications were told last of the object that last moved.
    pub phase: MigrationPhase,
    /// Events that the source had when it was last looked at and the target is not complete for, of
    /// the object that last moved.
    pub lag: Option<u64>,
    /// Source events copied and compared in a second, smoothed.
    pub events_per_second: u64,
    /// Bytes of source events copied in a second, smoothed.
    pub bytes_per_second: u64,
    /// How long the rest of a single object will take at this rate, if no limit changes.
    pub eta: Option<Duration>,
    /// What the stages have taken.
    pub stages: StageTimes,
    /// Closes that writers were faster than.
    pub lost_close_attempts: u64,
    /// What slows it down now.
    pub throttled_by: Option<ThrottleReason>,
    /// What it waits for now, if it does nothing for a reason.
    pub waiting_for: Option<String>,
    /// When this was.
    pub at: Timestamp,
    /// How long this run has taken.
    pub elapsed: Duration,
}

impl Stamped for Progress {
    fn stamp(&mut self, at: Timestamp, elapsed: Duration) {
        (self.at, self.elapsed) = (at, elapsed);
    }
}

/// Who is notified of a migration's progress, and how often.
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

    /// Tells the last progress and waits a little for the callbacks to have seen it.
    pub(crate) async fn finish(&self, status: MigrationStatus) -> CallbackFaults {
        self.end(|progress| progress.status = status).await
    }
}
