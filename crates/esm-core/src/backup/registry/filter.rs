//! Which backups are meant.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::stream::{BoxStream, StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;

use crate::backup::service::BackupService;
use crate::error::{ErrorKind, Result};
use crate::id::{MigrationId, ObjectId, ObjectName};
use crate::store::{BackupKind, BackupManifest};

/// Backups whose sections are looked through at the same time.
const AT_ONCE: usize = 4;

/// Which backups are meant: those that everything applies to that is set. Defaults to all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BackupFilter {
    object: Option<ObjectId>,
    name: Option<ObjectName>,
    tags: BTreeMap<String, String>,
    kind: Option<BackupKind>,
    since: Option<Timestamp>,
    before: Option<Timestamp>,
    migration: Option<MigrationId>,
}

impl BackupFilter {
    /// All backups.
    pub fn new() -> Self {
        Self::default()
    }

    /// Those that hold this object.
    #[must_use]
    pub fn object(mut self, object: ObjectId) -> Self {
        self.object = Some(object);
        self
    }

    /// Those that hold an object of this name.
    #[must_use]
    pub fn name(mut self, name: ObjectName) -> Self {
        self.name = Some(name);
        self
    }

    /// Those with this tag; with all of several.
    #[must_use]
    pub fn tag(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.tags.insert(key.into(), value.into());
        self
    }

    /// Those of this kind.
    #[must_use]
    pub fn kind(mut self, kind: BackupKind) -> Self {
        self.kind = Some(kind);
        self
    }

    /// Those that were begun at this time or later.
    #[must_use]
    pub fn since(mut self, time: Timestamp) -> Self {
        self.since = Some(time);
        self
    }

    /// Those that were begun before this time.
    #[must_use]
    pub fn before(mut self, time: Timestamp) -> Self {
        self.before = Some(time);
        self
    }

    /// Those that this migration made.
    #[must_use]
    pub fn migration(mut self, migration: MigrationId) -> Self {
        self.migration = Some(migration);
        self
    }

    /// Whether everything applies that a manifest says.
    fn fits(&self, manifest: &BackupManifest) -> bool {
        let tags = &manifest.settings.tags;
        let at = manifest.created_at;
        self.tags
            .iter()
            .all(|(key, value)| tags.get(key) == Some(value))
            && self.kind.is_none_or(|kind| kind == manifest.kind)
            && self.since.is_none_or(|since| at >= since)
            && self.before.is_none_or(|before| at < before)
            && (self.migration.is_none() || self.migration == manifest.migration)
    }

    /// Whether an object is one of those that are looked for.
    fn is_meant(&self, object: &ObjectId) -> bool {
        self.object.as_ref().is_none_or(|meant| meant == object)
            && self.name.as_ref().is_none_or(|name| name == object.name())
    }
}

impl BackupService {
    /// Returns the manifests of the backups and archives that are meant, in no particular order. One
    /// whose manifest cannot be read is an error `Corrupt`, whichever are meant; the stream then
    /// continues.
    ///
    /// For objects the lists of sections are read, where a backup has several. One that is deleted
    /// meanwhile is left out.
    pub fn find(&self, filter: BackupFilter) -> BoxStream<'_, Result<BackupManifest>> {
        let filter = Arc::new(filter);
        self.list()
            .map(move |manifest| {
                let filter = Arc::clone(&filter);
                async move {
                    let manifest = manifest?;
                    let fits = filter.fits(&manifest) && self.holds(&manifest, &filter).await?;
                    Ok(fits.then_some(manifest))
                }
            })
            .buffered(AT_ONCE)
            .try_filter_map(|found| std::future::ready(Ok(found)))
            .boxed()
    }

    async fn holds(&self, manifest: &BackupManifest, filter: &BackupFilter) -> Result<bool> {
        if filter.object.is_none() && filter.name.is_none() {
            return Ok(true);
        }
        if let (1, Some(only)) = (manifest.sections, &manifest.first_object) {
            return Ok(filter.is_meant(only));
        }
        let mut sections = self.provider.sections(&manifest.id);
        loop {
            match sections.try_next().await {
                Ok(None) => return Ok(false),
                Ok(Some(section)) if filter.is_meant(&section.object) => return Ok(true),
                Ok(Some(_)) => self.refuse_cancelled()?,
                Err(error) if *error.kind() == ErrorKind::NotFound => return Ok(false),
                Err(error) => return Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::BackupId;
    use crate::store::{BackupChecksums, BackupSettings};

    fn manifest() -> BackupManifest {
        let mut settings = BackupSettings::default();
        settings
            .tags
            .insert("reason".to_owned(), "audit".to_owned());
        BackupManifest {
            format: BackupManifest::FORMAT,
            id: BackupId::new("kept").unwrap(),
            kind: BackupKind::Backup,
            migration: None,
            created_at: time("2026-05-01T00:00:00Z"),
            settings,
            sections: 1,
            events: 3,
            checksums: BackupChecksums::default(),
            first_object: None,
        }
    }

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn everything_that_is_set_must_apply() {
        let filter = BackupFilter::new;
        let at = time("2026-05-01T00:00:00Z");
        let other = MigrationId::from_uuid(uuid::Uuid::from_u128(1));
        for (filter, fits) in [
            (filter(), true),
            (filter().tag("reason", "audit").since(at), true),
            (filter().tag("reason", "audit").before(at), false),
            (filter().tag("reason", "other"), false),
            (filter().tag("reason", "audit").tag("a", "b"), false),
            (filter().kind(BackupKind::Archive), false),
            (filter().kind(BackupKind::Backup), true),
            (filter().since(time("2026-05-02T00:00:00Z")), false),
            (filter().before(time("2026-05-02T00:00:00Z")), true),
            (filter().migration(other), false),
        ] {
            assert_eq!(filter.fits(&manifest()), fits, "{filter:?}");
        }
    }
}
