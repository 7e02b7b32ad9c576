//! One migration, with its history.

use std::sync::Arc;

use esm_core::Result;
use esm_core::id::MigrationId;
use esm_core::migration::{MigrationObserver, MigrationService};
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

impl Load for MigrationLoad {
    type Value = MigrationView;

    async fn load(&mut self) -> Result<MigrationView> {
        let watched = self.observer.observe().await?;
        let history = self.history.load(&self.service, self.migration).await?;
        let now = self.source.environment().clock.now();
        Ok(MigrationView {
            shown: Shown::of(watched.clone(), now).only_current(),
            watched: Watched::of(watched, now),
            history,
        })
    }
}
