//! The builder that resumes an unfinished migration.

use std::sync::Arc;

use crate::error::Result;
use crate::id::MigrationId;
use crate::migration::describe::options::RunOptions;
use crate::migration::describe::run_methods::run_methods;
use crate::migration::report::result::MigrationResult;
use crate::migration::service::MigrationService;
use crate::store::EventStore;
use crate::transform::EventTransformer;

/// Resumes an unfinished migration; [`execute`](Self::execute) starts it.
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until it is executed"]
pub struct ResumeBuilder {
    service: MigrationService,
    migration: MigrationId,
    run: RunOptions,
}

impl ResumeBuilder {
    pub(crate) fn new(service: MigrationService, migration: MigrationId) -> Self {
        let mut run = RunOptions::default();
        // waits until the lock of a dead holder has expired
        run.lock.timeout = run.lock.lease + run.lock.heartbeat;
        Self {
            service,
            migration,
            run,
        }
    }

    /// Sets the transformation. It must be the one that the migration began with.
    pub fn transform(mut self, transformer: impl EventTransformer) -> Self {
        self.run.transformer = Some(Arc::new(transformer));
        self
    }

    /// Sets the target store. Required if it differs from the source's store and the service does
    /// not have it.
    pub fn to_store(mut self, store: Arc<dyn EventStore>) -> Self {
        self.service.stores = self.service.stores.with(store);
        self
    }

    run_methods!();

    /// Continues the migration from the state of its streams and its journal.
    ///
    /// An undo that was begun continues too. If every source is closed, the migration can only be
    /// completed, not undone, and is completed instead. A migration that a command paused stays
    /// paused until another command continues it.
    ///
    /// # Errors
    /// - `NotFound` for an unknown migration.
    /// - `AlreadyExists` if it has ended.
    /// - `PlanOutdated` for another transformation.
    /// - `LockHeld` while another process holds the lock.
    ///
    /// Later failures are in the result.
    pub async fn execute(self) -> Result<MigrationResult> {
        self.run.hooks.check()?;
        self.service.resume_run(self.migration, self.run).await
    }
}
