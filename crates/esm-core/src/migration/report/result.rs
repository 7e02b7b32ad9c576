//! The result of a migration.

use std::time::Duration;

use crate::error::Error;
use crate::id::MigrationId;
use crate::protocol::plan::PlannedMigration;
use crate::protocol::statistics::{ObjectReport, Statistics};
use crate::protocol::status::MigrationStatus;

/// The result of a migration.
#[derive(Debug)]
#[non_exhaustive]
pub struct MigrationResult {
    /// The migration.
    pub migration: MigrationId,
    /// Its plan.
    pub plan: PlannedMigration,
    /// Its status at the end of the run.
    pub status: MigrationStatus,
    /// Its statistics.
    pub statistics: Statistics,
    /// The report of a single object; absent for several.
    pub object: Option<ObjectReport>,
    /// The error that stopped it, or the error of the first object that failed.
    pub error: Option<Error>,
    /// Duration of this run.
    pub elapsed: Duration,
}

impl MigrationResult {
    /// Returns whether the migration is complete: no object failed, and none was undone or left
    /// out.
    pub fn is_success(&self) -> bool {
        self.status == MigrationStatus::Completed && self.statistics.failed == 0
    }

    /// Returns whether there was nothing to do.
    pub fn was_up_to_date(&self) -> bool {
        self.is_success() && self.statistics.migrated == 0
    }
}
