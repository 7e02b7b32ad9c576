//! How a backup is made, by hand or by a migration.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::error::Result;
use crate::id::BackupId;
use crate::store::{BackupProvider, BackupSettings, Compression};

/// Where a backup goes, what is in it and how long it is kept.
///
/// Unless told otherwise: to the service's provider, under a fresh name, the events only, with the
/// default compression, kept for ever.
#[derive(Debug, Clone, Default)]
pub struct BackupOptions {
    pub(crate) provider: Option<Arc<dyn BackupProvider>>,
    pub(crate) id: Option<BackupId>,
    settings: BackupSettings,
    retention: Option<Duration>,
}

impl BackupOptions {
    /// A backup as it is made unless told otherwise.
    pub fn new() -> Self {
        Self::default()
    }

    /// The options that lead to these settings, without a provider.
    pub(crate) fn of_settings(settings: &BackupSettings) -> Self {
        Self {
            settings: settings.clone(),
            ..Self::default()
        }
    }

    /// Where it goes; the service's provider unless told.
    #[must_use]
    pub fn provider(mut self, provider: Arc<dyn BackupProvider>) -> Self {
        self.provider = Some(provider);
        self
    }

    /// What it is called; a name is used once. Made of the time and a random part unless told. For
    /// one by hand: a migration names its backups itself, and is refused with this.
    #[must_use]
    pub fn id(mut self, id: BackupId) -> Self {
        self.id = Some(id);
        self
    }

    /// Puts the object documents into it too.
    #[must_use]
    pub fn include_document(mut self) -> Self {
        self.settings.content.documents = true;
        self
    }

    /// How it is compressed; zstd of level 3 unless told.
    #[must_use]
    pub fn compression(mut self, compression: Compression) -> Self {
        self.settings.compression = compression;
        self
    }

    /// How long pruning leaves it alone; for ever unless told.
    #[must_use]
    pub fn retention(mut self, retention: Duration) -> Self {
        self.retention = Some(retention);
        self
    }

    /// The user's own words.
    #[must_use]
    pub fn tag(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.tags.insert(key.into(), value.into());
        self
    }

    /// What is written down of them.
    ///
    /// # Errors
    /// `Invalid` for what cannot be.
    pub(crate) fn settle(self, now: Timestamp) -> Result<BackupSettings> {
        self.settings.kept_for(self.retention, now)
    }
}
