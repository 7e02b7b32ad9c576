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
use crate::id::MigrationId;
use crate::store::{BackupProvider, EventStore, LockProvider};
use crate::transform::Mapper;

/// What every step of a run shares.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) store: Arc<dyn EventStore>,
    pub(crate) documents: Documents,
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
}

impl Stop {
    /// Goes on, or says why not.
    ///
    /// # Errors
    /// `Cancelled` or `LockLost`.
    pub(crate) fn check(&self) -> Result<()> {
        if self.requested.is_cancelled() {
            return Err(
                Error::new(ErrorKind::Cancelled, "stopped at a safe point on request")
                    .with_hint("resume the migration to go on"),
            );
        }
        self.lock.as_ref().map_or(Ok(()), HeldLock::ensure_held)
    }
}
