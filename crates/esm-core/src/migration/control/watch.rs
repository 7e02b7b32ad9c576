//! Observes a migration from any process.

use std::time::Duration;

use futures::stream::{self, BoxStream, StreamExt as _};
use serde::Serialize;
use tracing::warn;

use crate::error::{ErrorKind, Result};
use crate::id::MigrationId;
use crate::migration::control::handle::MigrationControl;
use crate::migration::control::progress_record;
use crate::migration::report::progress::Progress;
use crate::migration::service::{MigrationService, MigrationState};
use crate::protocol::control::{Desired, TrackedCommand};

/// The observable state of a migration.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct WatchedMigration {
    /// Its state by the journal and the lock.
    #[serde(flatten)]
    pub state: MigrationState,
    /// Its last published progress. Absent in the first few seconds of a run.
    pub progress: Option<Progress>,
    /// The state that the commands request.
    pub desired: Desired,
    /// The newest commands and older open ones; oldest first.
    pub commands: Vec<TrackedCommand>,
    /// Whether a pause is in force or not answered yet; see [`ControlState::pauses`].
    ///
    /// [`ControlState::pauses`]: crate::protocol::control::ControlState::pauses
    #[serde(skip)]
    pub pauses: bool,
}

impl WatchedMigration {
    /// Whether a process works on it now: its lock is held.
    pub fn is_at_work(&self) -> bool {
        self.state.lock.as_ref().is_some_and(|lock| lock.held)
    }
}

impl MigrationService {
    /// Returns a handle that sends commands to a migration in any process.
    pub fn control(&self, migration: MigrationId) -> MigrationControl {
        MigrationControl::new(self.clone(), migration)
    }

    /// Observes a migration. Writes nothing.
    ///
    /// # Errors
    /// `NotFound`; those of the records.
    pub async fn observe(&self, migration: MigrationId) -> Result<WatchedMigration> {
        let state = self.status(migration).await?;
        let progress = match progress_record::published(&self.records, migration).await {
            Err(damage) if *damage.kind() == ErrorKind::Corrupt => {
                warn!(%damage, "the published progress cannot be read");
                None
            }
            published => published?,
        };
        let control = self.control(migration).state().await?;
        Ok(WatchedMigration {
            pauses: control.pauses(),
            state,
            progress,
            desired: control.desired,
            commands: control.commands,
        })
    }

    /// [Observes](Self::observe) a migration at this interval until it has ended, or its journal is
    /// damaged.
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
            let over = seen.as_ref().map_or(true, |watched| {
                watched.state.status.is_terminal() || watched.state.damage.is_some()
            });
            Some((seen, (service, false, over)))
        })
        .boxed()
    }
}
