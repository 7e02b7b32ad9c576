//! Watching a migration from any process.

use std::time::Duration;

use futures::stream::{self, BoxStream, StreamExt as _};
use serde::Serialize;

use crate::error::Result;
use crate::id::MigrationId;
use crate::migration::control::handle::MigrationControl;
use crate::migration::control::progress_record;
use crate::migration::report::progress::Progress;
use crate::migration::service::{MigrationService, MigrationState};
use crate::protocol::control::{Desired, TrackedCommand};

/// What can be seen of a migration from outside.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct WatchedMigration {
    /// What its journal and its lock tell.
    #[serde(flatten)]
    pub state: MigrationState,
    /// How far it is, by its own word: what it wrote down last. Absent for one that has not run
    /// for a few seconds yet.
    pub progress: Option<Progress>,
    /// What it was told.
    pub desired: Desired,
    /// The newest commands, and older ones that are not settled; oldest first.
    pub commands: Vec<TrackedCommand>,
}

impl WatchedMigration {
    /// Whether somebody works on it now: its lock is held.
    pub fn is_at_work(&self) -> bool {
        self.state.lock.as_ref().is_some_and(|lock| lock.held)
    }
}

impl MigrationService {
    /// Gives commands to a migration, from this process or any other.
    pub fn control(&self, migration: MigrationId) -> MigrationControl {
        MigrationControl::new(self.clone(), migration)
    }

    /// Looks at a migration from outside. Writes nothing.
    ///
    /// # Errors
    /// `NotFound`; those of the records.
    pub async fn observe(&self, migration: MigrationId) -> Result<WatchedMigration> {
        let state = self.status(migration).await?;
        let progress = progress_record::published(&self.records, migration).await?;
        let control = self.control(migration).state().await?;
        Ok(WatchedMigration {
            state,
            progress,
            desired: control.desired,
            commands: control.commands,
        })
    }

    /// [`observe`](Self::observe)s a migration again and again, until it has ended.
    pub fn watch(
        &self,
        migration: MigrationId,
        every: Duration,
    ) -> BoxStream<'static, Result<WatchedMigration>> {
        let service = self.clone();
        let first = (service, true, false);
        stream::unfold(first, move |(service, first, over)| async move {
            if over {
                return None;
            }
            if !first {
                service.environment.clock.sleep(every).await;
            }
            let seen = service.observe(migration).await;
            let over = seen.as_ref().map_or(true, |w| w.state.status.is_terminal());
            Some((seen, (service, false, over)))
        })
        .boxed()
    }
}
