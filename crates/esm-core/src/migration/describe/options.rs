//! The parts of a description: closing the books, and the code and connections of a run.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::backup::BackupOptions;
use crate::cutover::meter::Totals;
use crate::cutover::verify::checks::VerificationCheck;
use crate::error::{Error, Result};
use crate::id::Fingerprint;
use crate::migration::control::steering::ControlOptions;
use crate::migration::limits::hooks::Hooks;
use crate::migration::limits::throttle::ThrottleOptions;
use crate::migration::lock::options::LockOptions;
use crate::migration::report::progress::ProgressOptions;
use crate::protocol::control::SettingsChange;
use crate::protocol::gate::CutoverOptions;
use crate::protocol::plan::{BookClosing, PlannedMigration, Reverses};
use crate::store::BackupProvider;
use crate::transform::{EventTransformer, Identity};

/// Code, connections and local settings of a run: not kept in the journal.
#[derive(Debug, Clone, Default)]
pub(crate) struct RunOptions {
    pub(crate) transformer: Option<Arc<dyn EventTransformer>>,
    /// The declared transformation of a later rollback.
    pub(crate) down: Option<Arc<dyn EventTransformer>>,
    pub(crate) backups: Option<Arc<dyn BackupProvider>>,
    pub(crate) archives: Option<Arc<dyn BackupProvider>>,
    pub(crate) checks: Vec<Arc<dyn VerificationCheck>>,
    pub(crate) lock: LockOptions,
    pub(crate) progress: ProgressOptions,
    pub(crate) cancel: CancellationToken,
    pub(crate) undo: bool,
    pub(crate) hooks: Hooks,
    pub(crate) throttle: ThrottleOptions,
    pub(crate) control: ControlOptions,
    /// The size of the scope, if it is known.
    pub(crate) totals: Option<Totals>,
    pub(crate) count_first: bool,
}

impl RunOptions {
    /// Refuses invalid hooks, limits and cutover options.
    ///
    /// # Errors
    /// `Invalid`, naming the fault.
    pub(crate) fn check(&self, limits: &SettingsChange, cutover: &CutoverOptions) -> Result<()> {
        if *limits != SettingsChange::default() {
            limits.check()?;
        }
        if let Some(fault) = cutover.fault() {
            return Err(Error::invalid(fault));
        }
        self.hooks.check()
    }

    pub(crate) fn fingerprint(&self) -> Fingerprint {
        self.transformer
            .as_ref()
            .map_or_else(|| Identity.fingerprint(), |t| t.fingerprint())
    }

    /// Returns the fingerprint of a planned migration under this transformer. In a reverse
    /// migration the transformer is the `down`.
    pub(crate) fn fingerprint_for(&self, plan: &PlannedMigration) -> Fingerprint {
        let given = self.fingerprint();
        match &plan.reverses {
            Some(reverses) => Reverses {
                down: given,
                ..reverses.clone()
            }
            .fingerprint(),
            None => given,
        }
    }
}

/// Whether and how to close the books of the closed stream.
#[derive(Debug, Clone, Default)]
pub struct BookClosingOptions {
    pub(super) archive: Option<BackupOptions>,
    pub(super) metadata: BTreeMap<String, String>,
    pub(super) unsupported: Option<&'static str>,
}

impl BookClosingOptions {
    /// Returns the options that a plan was made from, without the archive's provider.
    pub(super) fn of_plan(books: &BookClosing) -> Self {
        Self {
            archive: books.archive.as_ref().map(BackupOptions::of_settings),
            metadata: books.metadata.clone(),
            unsupported: None,
        }
    }

    /// Returns options without archive and metadata.
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes and verifies an archive of the closed stream.
    #[must_use]
    pub fn archive(mut self, options: BackupOptions) -> Self {
        self.archive = Some(options);
        self
    }

    /// Adds user metadata to the terminated stream's entry.
    #[must_use]
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.insert(key.into(), value.into());
        self
    }

    /// Writes a snapshot. Not implemented: refused as `Unsupported`.
    #[must_use]
    pub fn snapshot(mut self) -> Self {
        self.unsupported = Some("snapshots at book closing");
        self
    }

    /// Deletes the closed stream. Not implemented: refused as `Unsupported`.
    #[must_use]
    pub fn delete_source(mut self) -> Self {
        self.unsupported = Some("deletion at book closing");
        self
    }
}
