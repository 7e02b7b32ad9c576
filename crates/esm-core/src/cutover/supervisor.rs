//! The run that a cutover is part of: it stops and paces the work and receives its progress.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

use crate::error::Result;
use crate::id::ObjectId;
use crate::protocol::journal::VerifiedCheckpoint;
use crate::protocol::status::{MigrationStatus, Step};

/// A number of source events, and their uncompressed bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Amount {
    /// The events.
    pub events: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Limits of a target cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CellLimits {
    pub(crate) events: usize,
    pub(crate) bytes: u64,
}

/// Progress of a cutover.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Report<'a> {
    /// A step begins for an object.
    Begins {
        status: MigrationStatus,
        step: Step,
        object: &'a ObjectId,
    },
    /// The step changed; the status did not.
    Step(Step),
    /// This many source events were analysed.
    Analysed(u64),
    /// Source events were copied.
    Copied(Amount),
    /// This many source events were compared.
    Compared(u64),
}

/// The run that a cutover is part of: a migration, or a restore.
#[async_trait]
pub(crate) trait Supervisor: fmt::Debug + Send + Sync {
    /// Returns an error when work must stop now.
    fn check(&self) -> Result<()>;

    /// As [`check`](Self::check), and waits while the run is paused.
    async fn safe_point(&self) -> Result<()> {
        self.check()
    }

    /// A safe point before this amount is processed; also waits as long as the limits require.
    async fn pace(&self, _amount: Amount) -> Result<()> {
        self.safe_point().await
    }

    /// R24: reads the journal and returns an error if another holder has taken the run over. Called
    /// before each Close, once the target has a cell, and right before each Fence.
    async fn ensure_in_charge(&self) -> Result<()>;

    /// Whether [`ensure_in_charge`](Self::ensure_in_charge) guarantees that a holder without a
    /// target so far cannot close the source later.
    fn excludes_late_closes(&self) -> bool;

    /// Limits of a target cell. They may change during the run.
    fn cell_limits(&self) -> CellLimits;

    /// Records the duration of an append to the target.
    fn appended(&self, _took: Duration) {}

    fn report(&self, report: Report<'_>);

    /// Offers a checkpoint of the comparison. A run that cannot store checkpoints ignores it.
    async fn checkpoint(&self, checkpoint: VerifiedCheckpoint) -> Result<()>;
}
