//! How a backup is made, by hand or by a migration.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::error::Result;
use crate::id::BackupId;
use crate::store::{BackupProvider, BackupSettings, Compression};

/// Where a backup goes, what is in it and how long it is kept.
///
/// Defaults to the service's provider, a fresh name, the events only, the default compression, and
/// no end of retention.
#[derive(Debug, Clone, Default)]
pub struct BackupOptions {
    pub(crate) provider: Option<Arc<dyn BackupProvider>>,
    pub(crate) id: Option<BackupId>,
    settings: BackupSettings,
    retention: Option<Duration>,
}

impl BackupOptions {
    /// The defaults.
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

    /// Sets where it goes. Defaults to the service's provider.
    #[must_use]
    pub fn provider(mut self, provider: Arc<dyn BackupProvider>) -> Self {
        self.provider = Some(provider);
        self
    }

    /// Sets its name, which must be new. Defaults to one made of the time and a random part. Only for
    /// backups outside of a migration: a migration names its backups itself, and refuses this.
    #[must_use]
    pub fn id(mut self, id: BackupId) -> Self {
        self.id = Some(id);
        self
    }

    /// Includes the objects' documents.
    #[must_use]
    pub fn include_document(mut self) -> Self {
        self.settings.content.documents = true;
        self
    }

    /// Sets how it is compressed. Defaults to zstd, level 3.
    #[must_use]
    pub fn compression(mut self, compression: Compression) -> Self {
        self.settings.compression = compression;
        self
    }

    /// Sets how long it is kept before pruning may remove it. Defaults to unlimited.
    #[must_use]
    pub fn retention(mut self, retention: Duration) -> Self {
        self.retention = Some(retention);
        self
    }

    /// Adds user metadata, as a key and a value.
    #[must_use]
    pub fn tag(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.tags.insert(key.into(), value.into());
        self
    }

    /// The settings that the manifest records.
    ///
    /// # Errors
    /// `Invalid` for options that cannot be met.
    pub(crate) fn settle(self, now: Timestamp) -> Result<BackupSettings> {
        self.settings.kept_for(self.retention, now)
    }
}
