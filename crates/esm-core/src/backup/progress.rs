//! Progress of work on a backup.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::clock::Environment;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{BackupId, ObjectId};
use crate::progress::{ProgressOptions, Reporter, Stamped};

/// What is being done to a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum BackupStage {
    /// Objects are written into it.
    Writing,
    /// It is read, and its counts and hashes are verified.
    Verifying,
    /// Events are written from it into streams, which are read again and compared.
    Restoring,
    /// All is done.
    Done,
    /// It was stopped, by an error or on request.
    Stopped,
}

/// Progress of work on a backup. Counts are those of the current stage; at the end those of the last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct BackupProgress {
    /// What is being done.
    pub stage: BackupStage,
    /// The backup, once it has a name.
    pub backup: Option<BackupId>,
    /// The object whose section is worked on; in the backup, not the restored one.
    pub object: Option<ObjectId>,
    /// Sections begun.
    pub objects: u64,
    /// Events written, verified or restored.
    pub events: u64,
    /// Total number of events, where known. If only a part of a backup is restored: of the whole
    /// backup.
    pub events_total: Option<u64>,
    /// When this was reported.
    pub at: Timestamp,
    /// Time since the call began.
    pub elapsed: Duration,
}

impl Stamped for BackupProgress {
    fn stamp(&mut self, at: Timestamp, elapsed: Duration) {
        (self.at, self.elapsed) = (at, elapsed);
    }
}

/// Receives the progress of work on a backup, and may stop it: a migration, or the [`Watch`] of a call.
pub(crate) trait Monitor: fmt::Debug + Send + Sync {
    /// Called at every safe point.
    ///
    /// # Errors
    /// Why work must stop.
    fn check(&self) -> Result<()>;

    /// A stage begins, with this total number of events.
    fn stage(&self, _stage: BackupStage, _backup: &BackupId, _events: Option<u64>) {}

    /// A section begins.
    fn section(&self, _object: &ObjectId) {}

    /// Events were written into a backup.
    fn wrote(&self, _events: u64) {}

    /// Events were read and compared, or restored.
    fn passed(&self, _events: u64) {}
}

/// Watches one call of the service.
#[derive(Debug)]
pub(super) struct Watch {
    reporter: Reporter<BackupProgress>,
    cancel: CancellationToken,
}

impl Watch {
    pub(super) fn begin(
        options: ProgressOptions<BackupProgress>,
        cancel: CancellationToken,
        environment: &Environment,
        stage: BackupStage,
    ) -> Self {
        let progress = BackupProgress {
            stage,
            backup: None,
            object: None,
            objects: 0,
            events: 0,
            events_total: None,
            at: environment.clock.now(),
            elapsed: Duration::ZERO,
        };
        Self {
            reporter: Reporter::begin(options, environment, progress),
            cancel,
        }
    }

    /// Reports the last progress, and returns the result.
    pub(super) async fn end<T>(&self, result: Result<T>) -> Result<T> {
        let stage = match &result {
            Ok(_) => BackupStage::Done,
            Err(_) => BackupStage::Stopped,
        };
        let faults = self.reporter.end(|p| p.stage = stage).await;
        if faults.panics + faults.blocked > 0 {
            tracing::warn!(?faults, "progress callbacks panicked or blocked");
        }
        result
    }
}

impl Monitor for Watch {
    fn check(&self) -> Result<()> {
        refuse_cancelled(&self.cancel)
    }

    fn stage(&self, stage: BackupStage, backup: &BackupId, events: Option<u64>) {
        self.reporter.update(|p| {
            p.stage = stage;
            p.backup = Some(backup.clone());
            (p.object, p.objects, p.events, p.events_total) = (None, 0, 0, events);
        });
    }

    fn section(&self, object: &ObjectId) {
        self.reporter.update(|p| {
            p.objects += 1;
            p.object = Some(object.clone());
        });
    }

    fn wrote(&self, events: u64) {
        self.reporter.update(|p| p.events += events);
    }

    fn passed(&self, events: u64) {
        self.reporter.update(|p| p.events += events);
    }
}

/// # Errors
/// `Cancelled`.
pub(super) fn refuse_cancelled(cancel: &CancellationToken) -> Result<()> {
    if !cancel.is_cancelled() {
        return Ok(());
    }
    let error = Error::new(ErrorKind::Cancelled, "stopped at a safe point on request");
    Err(error.with_hint("do the same again: a restore resumes where it stopped"))
}
