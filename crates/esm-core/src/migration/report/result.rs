//! How a migration ended.

use std::time::Duration;

use crate::error::Error;
use crate::id::MigrationId;
use crate::protocol::planned::PlannedMigration;
use crate::protocol::statistics::{ObjectReport, Statistics};
use crate::protocol::status::MigrationStatus;

/// How a migration ended.
#[derive(Debug)]
#[non_exhaustive]
pub struct MigrationResult {
    /// The migration.
    pub migration: MigrationId,
    /// What it was to do.
    pub plan: PlannedMigration,
    /// How it ended.
    pub status: MigrationStatus,
    /// In numbers.
    pub statistics: Statistics,
    /// The report of a single object; absent for several.
    pub object: Option<ObjectReport>,
    /// What stopped it: the error, or the first object's.
    pub error: Option<Error>,
    /// How long this run took.
    pub elapsed: Duration,
}

impl MigrationResult {
    /// Whether everything that was asked for is done: no object failed, nothing was undone or left
    /// out.
    pub fn is_success(&self) -> bool {
        self.status == MigrationStatus::Completed && self.statistics.failed == 0
    }

    /// Whether there was nothing to do.
    pub fn was_up_to_date(&self) -> bool {
        self.is_success() && self.statistics.migrated == 0
    }
}
