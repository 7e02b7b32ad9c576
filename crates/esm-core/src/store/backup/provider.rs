//! Backups and archives: written, verified and read as streams.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt as _};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::clock::readable;
use crate::error::{Error, ErrorKind, Result};
use crate::event::Event;
use crate::id::{BackupId, MigrationId, ObjectId, StreamRef};
use crate::store::backup::BackupHandle;
use crate::store::document::ObjectDocument;

/// Why a backup was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum BackupKind {
    /// Before a migration, or by hand.
    Backup,
    /// Of a closed stream, when its books were closed.
    Archive,
}

/// How events are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Compression {
    /// zstd of this level, 1 to 19.
    Zstd {
        /// The level.
        level: i32,
    },
}

impl Default for Compression {
    fn default() -> Self {
        Self::Zstd { level: 3 }
    }
}

/// What a backup contains beside the events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct BackupContent {
    /// The object documents too.
    pub documents: bool,
}

/// How a backup is written and how long it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct BackupSettings {
    /// What is in it.
    pub content: BackupContent,
    /// How it is compressed.
    pub compression: Compression,
    /// Until when pruning must leave it alone; absent means unlimited.
    pub keep_until: Option<Timestamp>,
    /// User metadata.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
}

impl BackupSettings {
    /// The same, to be kept this long from now. Defaults to unlimited.
    ///
    /// # Errors
    /// `Invalid` for a time beyond the calendar, and for a compression that does not exist.
    pub(crate) fn kept_for(mut self, retention: Option<Duration>, now: Timestamp) -> Result<Self> {
        if let Some(retention) = retention {
            let until = now.checked_add(retention).map_err(|e| {
                let message = format!("retention is too long: {}", readable(retention));
                Error::invalid(message).with_source(e)
            })?;
            self.keep_until = Some(until);
        }
        let Compression::Zstd { level } = self.compression;
        if (1..=19).contains(&level) {
            Ok(self)
        } else {
            Err(Error::invalid(format!(
                "zstd level is not within 1 to 19: {level}"
            )))
        }
    }
}

/// What is known of a backup before it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupDraft {
    /// Its name; create-only.
    pub id: BackupId,
    /// Why it is made.
    pub kind: BackupKind,
    /// For which migration.
    pub migration: Option<MigrationId>,
    /// When.
    pub created_at: Timestamp,
    /// How.
    pub settings: BackupSettings,
}

/// One stream in a backup: the header before its events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupSection {
    /// The object.
    pub object: ObjectId,
    /// The stream.
    pub stream: StreamRef,
    /// The object's document, where it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<ObjectDocument>,
}

/// The counts of a section: the trailer after its events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SectionSummary {
    /// Number of events.
    pub events: u64,
    /// The rolling hash over them, in hex: see [`crate::RollingHash`].
    pub hash: String,
}

/// Sizes and checksums of what a backup stored.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct BackupChecksums {
    /// Size of the events, uncompressed, in bytes.
    pub uncompressed_bytes: u64,
    /// Size of the events as stored, in bytes.
    pub stored_bytes: u64,
    /// blake3 of the events as stored, in hex.
    pub stored_blake3: String,
    /// Size of the list of sections as stored, in bytes.
    pub sections_bytes: u64,
    /// blake3 of the list of sections as stored, in hex.
    pub sections_blake3: String,
}

/// What a finished backup says of itself. Its existence is what makes a backup valid: it is
/// written last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupManifest {
    /// Version of the format, [`BackupManifest::FORMAT`]. A reader refuses a newer one.
    pub format: u32,
    /// Its name.
    pub id: BackupId,
    /// Why it was made.
    pub kind: BackupKind,
    /// For which migration.
    pub migration: Option<MigrationId>,
    /// When it was begun.
    pub created_at: Timestamp,
    /// How it was made.
    pub settings: BackupSettings,
    /// Number of sections.
    pub sections: u64,
    /// Number of events in all sections.
    pub events: u64,
    /// Sizes and checksums.
    pub checksums: BackupChecksums,
    /// Where the first and, if there is only one, the only section comes from; for people.
    pub first_object: Option<ObjectId>,
}

impl BackupManifest {
    /// The format that this version writes.
    pub const FORMAT: u32 = 1;

    /// What refers to it.
    pub fn handle(&self, provider: &str) -> BackupHandle {
        BackupHandle {
            provider: provider.to_owned(),
            id: self.id.clone(),
            events: self.events,
            blake3: self.checksums.stored_blake3.clone(),
        }
    }
}

/// What comes out of a backup, in order: a section, its events, its end, the next section …
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BackupItem {
    /// A section begins.
    Section(Box<BackupSection>),
    /// Events of the section, in order.
    Events(Vec<Event>),
    /// The section ends.
    End(SectionSummary),
}

/// Where backups and archives live.
///
/// # Guarantees
/// 1. A backup exists when [`BackupWriter::finish`] succeeded, and is not seen before.
/// 2. A name is used once: a second [`create`](Self::create) or its finish answers `AlreadyExists`.
/// 3. Reading gives the same sections and events, byte for byte, or an error; a wrong checksum is
///    `Corrupt` at the latest at the end of reading.
#[async_trait]
pub trait BackupProvider: Send + Sync + Debug + 'static {
    /// The provider's name, for handles and messages.
    fn name(&self) -> &str;

    /// Begins a backup.
    async fn create(&self, draft: BackupDraft) -> Result<Box<dyn BackupWriter>>;

    /// The manifest of a finished backup.
    ///
    /// # Errors
    /// `NotFound`.
    async fn manifest(&self, id: &BackupId) -> Result<BackupManifest>;

    /// Reads a finished backup from its beginning.
    ///
    /// # Errors
    /// `NotFound`.
    async fn open(&self, id: &BackupId) -> Result<Box<dyn BackupReader>>;

    /// The manifests of all finished backups, in no promised order. A damaged manifest is an error
    /// `Corrupt` that names the backup; the stream then continues with the next one.
    fn list(&self) -> BoxStream<'_, Result<BackupManifest>>;

    /// The sections of a finished backup, in its order. A provider reads no events for that if it can,
    /// so it checks only the list. Defaults to [reading](Self::open) all of it.
    ///
    /// # Errors
    /// `NotFound`; `Corrupt`, naming the backup's file.
    fn sections(&self, id: &BackupId) -> BoxStream<'_, Result<BackupSection>> {
        let id = id.clone();
        stream::try_unfold(None::<Box<dyn BackupReader>>, move |reader| {
            let id = id.clone();
            async move {
                let mut reader = match reader {
                    Some(reader) => reader,
                    None => self.open(&id).await?,
                };
                while let Some(item) = reader.next().await? {
                    if let BackupItem::Section(section) = item {
                        return Ok(Some((*section, Some(reader))));
                    }
                }
                Ok(None)
            }
        })
        .boxed()
    }

    /// Whether a finished backup has its files. One has none if its name was deleted while it was
    /// written; such a backup can be neither read nor restored. Defaults to `true`.
    ///
    /// # Errors
    /// `NotFound`.
    async fn has_files(&self, id: &BackupId) -> Result<bool> {
        let _ = id;
        Ok(true)
    }

    /// Deletes a backup, also one whose manifest is damaged. Absent is fine. A deletion that was
    /// interrupted can be repeated.
    async fn delete(&self, id: &BackupId) -> Result<()>;

    /// Deletes a backup if its manifest is still this one, and returns whether it did. Another one is
    /// of a backup that took the name meanwhile. Defaults to reading the manifest and
    /// [`delete`](Self::delete).
    async fn delete_unchanged(&self, judged: &BackupManifest) -> Result<bool> {
        match self.manifest(&judged.id).await {
            Ok(found) if found == *judged => self.delete(&judged.id).await.map(|()| true),
            Ok(_) => Ok(false),
            Err(error) if *error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Removes the manifest of a backup if it is still this one, and returns whether it did. Its files
    /// are never touched: those that are put back meanwhile stay. Defaults to `Unsupported`.
    ///
    /// # Errors
    /// `Unsupported`; those of the storage.
    async fn delete_manifest(&self, judged: &BackupManifest) -> Result<bool> {
        let message = format!("the backups have no manifests of their own: {}", judged.id);
        Err(Error::unsupported(message))
    }
}

/// Writes one backup.
///
/// Dropping it leaves something that is not a backup and is harmless.
#[async_trait]
pub trait BackupWriter: Send + Debug {
    /// Begins a section; the one before must have ended.
    async fn section(&mut self, section: BackupSection) -> Result<()>;

    /// Adds events to the section.
    async fn events(&mut self, events: &[Event]) -> Result<()>;

    /// Ends the section.
    async fn end(&mut self, summary: SectionSummary) -> Result<()>;

    /// Makes it a backup: durable, and found from now on.
    ///
    /// # Errors
    /// `AlreadyExists` when the name is taken; `Conflict` when it was deleted meanwhile, together
    /// with what was written.
    async fn finish(self: Box<Self>) -> Result<BackupManifest>;
}

/// Reads one backup.
#[async_trait]
pub trait BackupReader: Send + Debug {
    /// The manifest.
    fn manifest(&self) -> &BackupManifest;

    /// What comes next; nothing at the end, after the checksum was found right.
    ///
    /// # Errors
    /// `Corrupt`, naming the backup's file.
    async fn next(&mut self) -> Result<Option<BackupItem>>;
}
