//! A migration as the supervisor of its cutovers and its backups.

use std::time::Duration;

use async_trait::async_trait;

use crate::backup::Monitor;
use crate::cutover::supervisor::{Amount, CellLimits, Report, Supervisor};
use crate::error::Result;
use crate::migration::context::Context;
use crate::protocol::journal::{JournalEntry, VerifiedCheckpoint};

#[async_trait]
impl Supervisor for Context {
    fn check(&self) -> Result<()> {
        Self::check(self)
    }

    async fn safe_point(&self) -> Result<()> {
        Self::safe_point(self).await
    }

    async fn pace(&self, amount: Amount) -> Result<()> {
        Self::pace(self, amount).await
    }

    async fn ensure_in_charge(&self) -> Result<()> {
        self.guard.ensure_in_charge().await
    }

    fn excludes_late_closes(&self) -> bool {
        true
    }

    fn cell_limits(&self) -> CellLimits {
        let settings = self.live.steering.settings();
        CellLimits {
            events: settings.cell_events,
            bytes: settings.cell_bytes,
        }
    }

    fn appended(&self, took: Duration) {
        self.live.throttle.appended(took);
    }

    fn report(&self, report: Report<'_>) {
        self.live.reporter.update(|p| match report {
            Report::Begins {
                status,
                step,
                object,
            } => {
                (p.status, p.step) = (status, step);
                p.object = Some(object.clone());
            }
            Report::Step(step) => p.step = step,
            Report::Analysed(events) => p.events_analysed += events,
            Report::Copied(amount) => {
                p.events_copied += amount.events;
                p.bytes_copied += amount.bytes;
            }
            Report::Compared(events) => p.events_verified += events,
        });
    }

    /// Recorded only by the migration of a single object: in a bulk migration the journal would
    /// grow with the objects.
    async fn checkpoint(&self, checkpoint: VerifiedCheckpoint) -> Result<()> {
        if self.plan.scope.single().is_none() {
            return Ok(());
        }
        let checkpoint = Box::new(checkpoint);
        self.guard
            .record(JournalEntry::Verified { checkpoint })
            .await
    }
}

impl Monitor for Context {
    fn check(&self) -> Result<()> {
        Self::check(self)
    }

    fn wrote(&self, events: u64) {
        self.live.reporter.update(|p| p.events_backed_up += events);
        self.live
            .meter
            .work()
            .back_up(events, self.live.meter.now());
    }

    fn passed(&self, events: u64) {
        self.live
            .meter
            .work()
            .back_up(events, self.live.meter.now());
    }
}
