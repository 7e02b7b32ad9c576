//! Describing how an unfinished migration is resumed.

use std::sync::Arc;

use crate::error::Result;
use crate::id::MigrationId;
use crate::migration::describe::options::RunOptions;
use crate::migration::describe::run_methods::run_methods;
use crate::migration::report::result::MigrationResult;
use crate::migration::service::MigrationService;
use crate::store::EventStore;
use crate::transform::EventTransformer;

/// Describes how an unfinished migration is resumed.
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
        // a holder that died is waited for: its lock expires
        run.lock.timeout = run.lock.lease + run.lock.heartbeat;
        Self {
            service,
            migration,
            run,
        }
    }

    /// The transformation that the migration began with.
    pub fn transform(mut self, transformer: impl EventTransformer) -> Self {
        self.run.transformer = Some(Arc::new(transformer));
        self
    }

    /// The store that the events go to, where that is another: it must be given again, unless the
    /// service knows it.
    pub fn to_store(mut self, store: Arc<dyn EventStore>) -> Self {
        self.service.stores = self.service.stores.with(store);
        self
    }

    run_methods!();

    /// Goes on from wherever the migration stands: with its undo, where that was begun; an undo that
    /// comes too late, because every source is closed, gives way to the migration. One that was
    /// paused by a command stays paused until another says otherwise.
    ///
    /// # Errors
    /// `NotFound`; `AlreadyExists` when it has ended; `PlanOutdated` for another transformation;
    /// `LockHeld` when somebody works on it. What happens later is in the result.
    pub async fn execute(self) -> Result<MigrationResult> {
        self.run.hooks.check()?;
        self.service.resume_run(self.migration, self.run).await
    }
}
