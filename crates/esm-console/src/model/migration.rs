//! One migration, with its history.

use std::sync::Arc;

use esm_core::Result;
use esm_core::id::{MigrationId, ObjectId};
use esm_core::migration::{
    CutoverMode, MigrationObserver, MigrationService, MigrationStatus, WatchedMigration,
};
use esm_core::object::chain;
use esm_core::protocol::control::Situation;
use esm_view::migration::{Shown, Watched};

use super::history::{History, HistoryLoad};
use crate::cache::Load;
use crate::source::Source;

/// One migration, as it is now.
#[derive(Debug)]
pub(crate) struct MigrationView {
    pub(crate) watched: Watched,
    pub(crate) shown: Shown,
    pub(crate) history: History,
    /// What the process that works on it knows of itself when it judges a command.
    pub(crate) situation: Situation,
}

/// Loads a migration again and again.
#[derive(Debug)]
pub(crate) struct MigrationLoad {
    source: Arc<Source>,
    service: MigrationService,
    observer: MigrationObserver,
    history: HistoryLoad,
    migration: MigrationId,
}

impl MigrationLoad {
    pub(crate) fn new(source: Arc<Source>, migration: MigrationId) -> Self {
        let service = source.service();
        Self {
            observer: service.observer(migration),
            history: HistoryLoad::default(),
            service,
            source,
            migration,
        }
    }
}

impl MigrationLoad {
    async fn situation(&self, watched: &WatchedMigration) -> Result<Situation> {
        let mut situation = Situation::default();
        let Some(plan) = watched.state.plan.as_ref() else {
            return Ok(situation);
        };
        situation.waits_for_cutover = plan.cutover.mode != CutoverMode::Automatic;
        situation.undoing = watched.state.status == MigrationStatus::RollingBack;
        let is_over = watched.state.status.is_terminal();
        // of several objects each has its pivot, and none of them is the migration's
        if let Some(object) = plan.scope.single().filter(|_| !is_over) {
            situation.past_the_pivot = self.has_closed(object).await?;
        }
        Ok(situation)
    }

    /// Whether the migration has closed the source of this object: the streams decide.
    async fn has_closed(&self, object: &ObjectId) -> Result<bool> {
        let Some(found) = self.source.reader().documents().find(object).await? else {
            return Ok(false);
        };
        let document = found.document;
        if document.closed_by(self.migration).is_some() {
            return Ok(true);
        }
        // the document follows a little later
        let end = chain::follow_damaged(self.source.stores(), &document).await;
        match end {
            Ok(end) => Ok(end
                .closes
                .iter()
                .any(|(_, close)| close.migration == self.migration)),
            // the page of the object shows what is wrong; commands are judged by the migration itself
            Err(error) if !error.is_retryable() => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl Load for MigrationLoad {
    type Value = MigrationView;

    async fn load(&mut self) -> Result<MigrationView> {
        let watched = self.observer.observe().await?;
        let history = self.history.load(&self.service, self.migration).await?;
        let situation = self.situation(&watched).await?;
        let now = self.source.environment().clock.now();
        Ok(MigrationView {
            situation,
            shown: Shown::of(watched.clone(), now).only_current(),
            watched: Watched::of(watched, now),
            history,
        })
    }
}
