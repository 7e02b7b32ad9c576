//! A restore as the supervisor of its cutover.

use std::sync::Arc;

use async_trait::async_trait;

use super::request::RestoreOptions;
use crate::backup::{BackupService, Monitor};
use crate::cutover::Cutover;
use crate::cutover::meter::Meter;
use crate::cutover::supervisor::{CellLimits, Report, Supervisor};
use crate::error::Result;
use crate::protocol::journal::VerifiedCheckpoint;
use crate::protocol::plan::CopyOptions;
use crate::transform::{Identity, Mapper};

/// What the cutovers of one restore share.
#[derive(Debug)]
pub(super) struct Restoring<'a> {
    service: &'a BackupService,
    /// Absent for an undo, which is not cancelled.
    monitor: Option<&'a dyn Monitor>,
    options: RestoreOptions,
    mapper: Mapper,
    meter: Arc<Meter>,
}

impl<'a> Restoring<'a> {
    pub(super) fn new(
        service: &'a BackupService,
        monitor: Option<&'a dyn Monitor>,
        options: RestoreOptions,
    ) -> Self {
        Self {
            service,
            monitor,
            options,
            mapper: Mapper::new(Arc::new(Identity)),
            meter: Meter::new(service.environment.clock.clone()),
        }
    }

    pub(super) fn cutover(&self) -> Cutover<'_> {
        Cutover {
            stores: self.service.reader.stores(),
            documents: self.service.reader.documents(),
            environment: &self.service.environment,
            mapper: &self.mapper,
            meter: &self.meter,
            checks: &[],
            copy: CopyOptions::default(),
            on_retired: None,
            supervisor: self,
            large: false,
        }
    }
}

#[async_trait]
impl Supervisor for Restoring<'_> {
    fn check(&self) -> Result<()> {
        self.monitor.map_or(Ok(()), Monitor::check)
    }

    /// A restore has no journal: whoever does the same writes the same cells.
    async fn ensure_in_charge(&self) -> Result<()> {
        Ok(())
    }

    fn excludes_late_closes(&self) -> bool {
        false
    }

    fn cell_limits(&self) -> CellLimits {
        CellLimits {
            events: self.options.cell_events,
            bytes: self.options.cell_bytes,
        }
    }

    fn report(&self, _report: Report<'_>) {}

    async fn checkpoint(&self, _checkpoint: VerifiedCheckpoint) -> Result<()> {
        Ok(())
    }
}
