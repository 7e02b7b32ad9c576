//! The services that a run uses.

use std::sync::Arc;

use crate::clock::Environment;
use crate::error::Result;
use crate::id::{HolderId, MigrationId};
use crate::migration::journal::Journal;
use crate::object::Documents;
use crate::store::{BackupProvider, LockInfo, LockProvider, Records, Stores};

/// The services that a run uses.
#[derive(Debug)]
pub(crate) struct Services {
    /// One limit applies to all requests of the run.
    pub(crate) stores: Stores,
    pub(crate) documents: Documents,
    pub(crate) records: Arc<dyn Records>,
    pub(crate) locks: Arc<dyn LockProvider>,
    pub(crate) backups: Option<Arc<dyn BackupProvider>>,
    pub(crate) archives: Option<Arc<dyn BackupProvider>>,
    pub(crate) environment: Environment,
    pub(crate) holder: HolderId,
}

impl Services {
    /// Whether the migration that holds a lock may be running. One that has ended is not, even if
    /// its lock was never released.
    pub(crate) async fn may_be_running(&self, lock: &LockInfo) -> Result<bool> {
        let Some(migration) = lock.migration else {
            return Ok(true);
        };
        Ok(!self.has_ended(migration).await?)
    }

    /// Whether a migration has ended, by its journal. One with a damaged journal may not have.
    pub(crate) async fn has_ended(&self, migration: MigrationId) -> Result<bool> {
        let (records, environment) = (Arc::clone(&self.records), self.environment.clone());
        let holder = self.holder.clone();
        let (journal, damage) =
            Journal::open_damaged(records, environment, migration, holder).await?;
        Ok(damage.is_none() && journal.state().outcome.is_some())
    }
}
