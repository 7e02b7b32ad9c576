//! What every step of a run shares.

use std::sync::Arc;

use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::checks::VerificationCheck;
use super::held_lock::HeldLock;
use super::journal::Journal;
use super::options::PlannedMigration;
use super::progress::Reporter;
use crate::clock::Environment;
use crate::document::Documents;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{Epoch, MigrationId, StreamRef};
use crate::store::{BackupProvider, EventStore, LockInfo, LockProvider, Records, Stores};
use crate::transform::Mapper;

/// What every step of a run shares.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) stores: Stores,
    pub(crate) documents: Documents,
    pub(crate) records: Arc<dyn Records>,
    pub(crate) locks: Arc<dyn LockProvider>,
    pub(crate) backups: Option<Arc<dyn BackupProvider>>,
    pub(crate) archives: Option<Arc<dyn BackupProvider>>,
    pub(crate) environment: Environment,
    pub(crate) mapper: Mapper,
    pub(crate) plan: PlannedMigration,
    pub(crate) checks: Vec<Arc<dyn VerificationCheck>>,
    pub(crate) reporter: Reporter,
    pub(crate) stop: Stop,
    pub(crate) journal: Mutex<Journal>,
}

impl Context {
    pub(crate) fn migration(&self) -> MigrationId {
        self.plan.migration
    }

    /// Where the target of this source goes: where the plan says, or where the source is.
    ///
    /// # Errors
    /// `UnknownStore`.
    pub(crate) fn target_store_of(&self, source: &StreamRef) -> Result<&Arc<dyn EventStore>> {
        match self.plan.target_store {
            Some(store) => self.stores.get(store),
            None => self.stores.of(source),
        }
    }

    /// Whether an earlier holder may have begun something.
    pub(crate) async fn is_resumed(&self) -> bool {
        self.journal.lock().await.state().epoch > Epoch(1)
    }

    /// Makes sure that no other holder has taken this migration over, by reading its journal.
    ///
    /// Together with the order of an undo (it claims the journal, and then looks for targets that
    /// were begun) this keeps a holder that was paused from closing a source that was rolled back:
    /// a target is begun before this is asked, so either the claim is seen here, or the undo sees
    /// the target and fences it (R17). To be asked right before a Close or a Fence.
    ///
    /// # Errors
    /// `Fenced`, and from then on at every safe point; those of the records.
    pub(crate) async fn ensure_in_charge(&self) -> Result<()> {
        let watch = self.journal.lock().await.watch();
        let ours = watch.ensure_ours().await;
        if ours.as_ref().is_err_and(|e| *e.kind() == ErrorKind::Fenced) {
            self.stop.taken_over.cancel();
        }
        ours
    }

    /// Whether the migration that holds a lock may be at work. One that has ended is not, also where
    /// its lock was never released.
    pub(crate) async fn is_at_work(&self, lock: &LockInfo) -> Result<bool> {
        let Some(migration) = lock.migration else {
            return Ok(true);
        };
        let (records, environment) = (Arc::clone(&self.records), self.environment.clone());
        let journal = Journal::open(records, environment, migration, lock.holder.clone()).await?;
        Ok(journal.state().outcome.is_none())
    }

    /// Whether an error concerns the run and not only the object at which it showed.
    pub(crate) fn ends_the_run(&self, error: &Error) -> bool {
        match error.kind() {
            ErrorKind::Cancelled | ErrorKind::LockLost => true,
            ErrorKind::Fenced => self.stop.taken_over.is_cancelled(),
            _ => false,
        }
    }

    /// Whether the plan has this migration's transformer leave every event as it is.
    pub(crate) fn is_identity(&self) -> bool {
        self.plan.fingerprint
            == crate::transform::EventTransformer::fingerprint(&crate::transform::Identity)
    }
}

/// What makes a run stop at its next safe point.
#[derive(Debug)]
pub(crate) struct Stop {
    pub(crate) requested: CancellationToken,
    pub(crate) lock: Option<HeldLock>,
    /// Whether another holder was seen in the journal.
    pub(crate) taken_over: CancellationToken,
}

impl Stop {
    /// Goes on, or says why not.
    ///
    /// # Errors
    /// `Cancelled`, `Fenced` or `LockLost`.
    pub(crate) fn check(&self) -> Result<()> {
        if self.taken_over.is_cancelled() {
            let message = "another has taken over this migration";
            return Err(Error::new(ErrorKind::Fenced, message));
        }
        if self.requested.is_cancelled() {
            return Err(
                Error::new(ErrorKind::Cancelled, "stopped at a safe point on request")
                    .with_hint("resume the migration to go on"),
            );
        }
        self.lock.as_ref().map_or(Ok(()), HeldLock::ensure_held)
    }
}
