//! The in-memory backup provider.

use std::collections::BTreeMap;

use async_trait::async_trait;
use bytes::Bytes;
use esm_core::RollingHash;
use esm_core::event::Event;
use esm_core::id::BackupId;
use esm_core::store::{
    BackupChecksums, BackupDraft, BackupItem, BackupManifest, BackupProvider, BackupReader,
    BackupSection, BackupWriter, SectionSummary,
};
use esm_core::{Error, ErrorKind, Result};
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};

use super::Shared;

/// Backups in memory: a manifest and a list of items for every name.
///
/// Guarantees 1 and 2 of [`BackupProvider`] hold because a backup is inserted whole when it is
/// finished, unless its name is taken; 3 because a reader computes the checksum anew and compares.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use esm_core::ErrorKind;
/// use esm_core::id::BackupId;
/// use esm_core::store::BackupProvider as _;
/// use esm_testkit::memory::MemoryBackups;
///
/// let backups = MemoryBackups::new();
/// let missing = backups.open(&BackupId::new("yesterday")?).await.unwrap_err();
/// assert_eq!(*missing.kind(), ErrorKind::NotFound);
/// assert!(backups.ids().is_empty());
/// # Ok::<(), esm_core::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone, Default)]
pub struct MemoryBackups {
    stored: Shared<BTreeMap<BackupId, Stored>>,
}

#[derive(Debug, Clone)]
struct Stored {
    manifest: BackupManifest,
    /// The manifest as it was written.
    written: BackupManifest,
    items: Vec<BackupItem>,
    /// Whether only the manifest is left.
    is_empty: bool,
    /// The items that were lost.
    lost: Vec<BackupItem>,
}

impl Stored {
    fn check(self) -> Result<Self> {
        if self.manifest == self.written {
            return Ok(self);
        }
        Err(Error::corrupt(format!(
            "manifest was changed: {}",
            self.written.id
        )))
    }
}

impl MemoryBackups {
    /// No backups.
    pub fn new() -> Self {
        Self::default()
    }

    /// The ids of all finished backups, sorted; for assertions.
    pub fn ids(&self) -> Vec<BackupId> {
        self.stored.lock().keys().cloned().collect()
    }

    /// Spoils the payload of the last event of a backup, as a failing disk would. Returns whether
    /// there was an event.
    pub fn corrupt(&self, id: &BackupId) -> bool {
        let mut stored = self.stored.lock();
        let event = stored.get_mut(id).and_then(|backup| {
            backup.items.iter_mut().rev().find_map(|item| match item {
                BackupItem::Events(events) => events.last_mut(),
                _ => None,
            })
        });
        let Some(event) = event else { return false };
        event.payload = Bytes::from([&event.payload[..], b"\0"].concat());
        true
    }

    /// Cuts off the last section of a backup, as a full disk would in the way that is hardest to
    /// notice. Returns whether there was a section.
    pub fn truncate(&self, id: &BackupId) -> bool {
        let mut stored = self.stored.lock();
        let Some(backup) = stored.get_mut(id) else {
            return false;
        };
        let begins = |item: &BackupItem| matches!(item, BackupItem::Section(_));
        let last = backup.items.iter().rposition(begins);
        backup.items.truncate(last.unwrap_or(backup.items.len()));
        last.is_some()
    }

    /// Loses the files of a backup but its manifest. Returns whether there is such a backup.
    pub fn lose_files(&self, id: &BackupId) -> bool {
        let mut stored = self.stored.lock();
        let Some(backup) = stored.get_mut(id) else {
            return false;
        };
        backup.lost = std::mem::take(&mut backup.items);
        backup.is_empty = true;
        true
    }

    /// Puts back what [was lost](Self::lose_files). Returns whether there is such a backup.
    pub fn put_files_back(&self, id: &BackupId) -> bool {
        let mut stored = self.stored.lock();
        let Some(backup) = stored.get_mut(id) else {
            return false;
        };
        backup.items = std::mem::take(&mut backup.lost);
        backup.is_empty = false;
        true
    }

    /// Changes in a backup's manifest until when it is kept. Returns whether there is such a backup.
    pub fn change_retention(&self, id: &BackupId) -> bool {
        let mut stored = self.stored.lock();
        let Some(backup) = stored.get_mut(id) else {
            return false;
        };
        let settings = &mut backup.manifest.settings;
        settings.keep_until = match settings.keep_until {
            None => Some(jiff::Timestamp::UNIX_EPOCH),
            Some(_) => None,
        };
        true
    }

    /// Returns a backup's manifest as it is stored, unchecked; for assertions and broken providers.
    pub fn stored_manifest(&self, id: &BackupId) -> Option<BackupManifest> {
        let stored = self.stored.lock();
        stored.get(id).map(|backup| backup.manifest.clone())
    }

    fn check_free(&self, id: &BackupId) -> Result<()> {
        if self.stored.lock().contains_key(id) {
            Err(taken(id))
        } else {
            Ok(())
        }
    }

    fn find<T>(&self, id: &BackupId, take: impl FnOnce(&Stored) -> T) -> Result<T> {
        (self.stored.lock().get(id).map(take))
            .ok_or_else(|| Error::not_found(format!("no such backup: {id}")))
    }
}

fn taken(id: &BackupId) -> Error {
    Error::new(
        ErrorKind::AlreadyExists,
        format!("backup exists already: {id}"),
    )
}

#[async_trait]
impl BackupProvider for MemoryBackups {
    fn name(&self) -> &str {
        "memory"
    }

    async fn create(&self, draft: BackupDraft) -> Result<Box<dyn BackupWriter>> {
        self.check_free(&draft.id)?;
        Ok(Box::new(MemoryWriter {
            provider: self.clone(),
            draft,
            items: Vec::new(),
            in_section: false,
        }))
    }

    async fn manifest(&self, id: &BackupId) -> Result<BackupManifest> {
        Ok(self.find(id, Stored::clone)?.check()?.manifest)
    }

    async fn open(&self, id: &BackupId) -> Result<Box<dyn BackupReader>> {
        let stored = self.find(id, Stored::clone)?.check()?;
        Ok(Box::new(MemoryReader {
            items: stored.items.into_iter(),
            manifest: stored.manifest,
            checksum: Checksum::default(),
        }))
    }

    fn list(&self) -> BoxStream<'_, Result<BackupManifest>> {
        let manifests: Vec<_> = (self.stored.lock().values())
            .map(|stored| stored.clone().check().map(|stored| stored.manifest))
            .collect();
        stream::iter(manifests).boxed()
    }

    async fn has_files(&self, id: &BackupId) -> Result<bool> {
        self.find(id, |stored| !stored.is_empty)
    }

    async fn delete(&self, id: &BackupId) -> Result<()> {
        self.stored.lock().remove(id);
        Ok(())
    }

    /// Files and manifest are one here: where files were put back, both stay.
    async fn delete_manifest(&self, judged: &BackupManifest) -> Result<bool> {
        let mut stored = self.stored.lock();
        let is_judged = |stored: &Stored| stored.is_empty && stored.manifest == *judged;
        let is_removed = stored.get(&judged.id).is_some_and(is_judged);
        if is_removed {
            stored.remove(&judged.id);
        }
        Ok(is_removed)
    }
}

#[derive(Debug)]
struct MemoryWriter {
    provider: MemoryBackups,
    draft: BackupDraft,
    items: Vec<BackupItem>,
    in_section: bool,
}

impl MemoryWriter {
    fn expect_section(&self, open: bool) -> Result<()> {
        match (self.in_section, open) {
            (true, false) => Err(Error::invalid("the section before has not ended")),
            (false, true) => Err(Error::invalid("no section has begun")),
            _ => Ok(()),
        }
    }

    fn manifest(&self) -> BackupManifest {
        let mut checksum = Checksum::default();
        self.items.iter().for_each(|item| checksum.add(item));
        let sections = self.items.iter().filter_map(|item| match item {
            BackupItem::Section(section) => Some(section.object.clone()),
            _ => None,
        });
        BackupManifest {
            format: BackupManifest::FORMAT,
            id: self.draft.id.clone(),
            kind: self.draft.kind,
            migration: self.draft.migration,
            created_at: self.draft.created_at,
            settings: self.draft.settings.clone(),
            sections: sections.clone().count() as u64,
            events: checksum.events,
            first_object: sections.clone().next(),
            checksums: BackupChecksums {
                uncompressed_bytes: checksum.bytes,
                stored_bytes: checksum.bytes,
                stored_blake3: checksum.digest(),
                ..BackupChecksums::default()
            },
        }
    }
}

#[async_trait]
impl BackupWriter for MemoryWriter {
    async fn section(&mut self, section: BackupSection) -> Result<()> {
        self.expect_section(false)?;
        self.in_section = true;
        self.items.push(BackupItem::Section(Box::new(section)));
        Ok(())
    }

    async fn events(&mut self, events: &[Event]) -> Result<()> {
        self.expect_section(true)?;
        self.items.push(BackupItem::Events(events.to_vec()));
        Ok(())
    }

    async fn end(&mut self, summary: SectionSummary) -> Result<()> {
        self.expect_section(true)?;
        self.in_section = false;
        self.items.push(BackupItem::End(summary));
        Ok(())
    }

    async fn finish(self: Box<Self>) -> Result<BackupManifest> {
        self.expect_section(false)?;
        let manifest = self.manifest();
        let mut stored = self.provider.stored.lock();
        if stored.contains_key(&manifest.id) {
            return Err(taken(&manifest.id));
        }
        let backup = Stored {
            manifest: manifest.clone(),
            written: manifest.clone(),
            items: self.items,
            is_empty: false,
            lost: Vec::new(),
        };
        stored.insert(manifest.id.clone(), backup);
        Ok(manifest)
    }
}

#[derive(Debug)]
struct MemoryReader {
    items: std::vec::IntoIter<BackupItem>,
    manifest: BackupManifest,
    checksum: Checksum,
}

#[async_trait]
impl BackupReader for MemoryReader {
    fn manifest(&self) -> &BackupManifest {
        &self.manifest
    }

    async fn next(&mut self) -> Result<Option<BackupItem>> {
        if let Some(item) = self.items.next() {
            self.checksum.add(&item);
            return Ok(Some(item));
        }
        if self.checksum.digest() == self.manifest.checksums.stored_blake3 {
            Ok(None)
        } else {
            Err(Error::corrupt(format!(
                "backup has a wrong checksum: {}",
                self.manifest.id
            )))
        }
    }
}

/// The manifest of these items, computed item by item. The memory has no stored form, so this
/// hashes the values.
#[derive(Debug, Default)]
struct Checksum {
    hash: blake3::Hasher,
    events: u64,
    bytes: u64,
}

impl Checksum {
    fn add(&mut self, item: &BackupItem) {
        match item {
            BackupItem::Section(section) => self.text(serde_json::to_vec(section)),
            BackupItem::End(summary) => self.text(serde_json::to_vec(summary)),
            BackupItem::Events(events) => {
                self.events += events.len() as u64;
                self.bytes += events.iter().map(Event::approximate_size).sum::<u64>();
                self.text(Ok(RollingHash::of(events).to_string().into_bytes()));
            }
        }
    }

    fn text(&mut self, json: serde_json::Result<Vec<u8>>) {
        let json = json.unwrap_or_default();
        self.hash.update(&(json.len() as u64).to_le_bytes());
        self.hash.update(&json);
    }

    fn digest(&self) -> String {
        self.hash.finalize().to_hex().to_string()
    }
}
