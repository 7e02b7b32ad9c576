//! Backups and archives: the documents of `esm backup`.

use std::collections::BTreeMap;

use esm_core::Error;
use esm_core::backup::{KeepReason, PruneReason, Pruned};
use esm_core::id::{BackupId, MigrationId, ObjectId};
use esm_core::store::{BackupKind, BackupManifest, Compression};
use jiff::Timestamp;
use serde::Serialize;

use crate::units::{counted, to_the_second};

/// A backup as it is reported.
#[derive(Debug, Clone, Serialize)]
pub struct ShownBackup {
    /// Its id.
    pub id: BackupId,
    /// Whether it is an archive.
    pub kind: BackupKind,
    /// When it was written.
    pub created_at: Timestamp,
    /// When its retention ends; absent means never.
    pub keep_until: Option<Timestamp>,
    /// Number of objects.
    pub sections: u64,
    /// Number of events.
    pub events: u64,
    /// Size of its events, in bytes.
    pub uncompressed_bytes: u64,
    /// Size as stored, in bytes.
    pub stored_bytes: u64,
    /// BLAKE3 hash of what is stored.
    pub stored_blake3: String,
    /// The migration that wrote it.
    pub migration: Option<MigrationId>,
    /// Its first object.
    pub first_object: Option<ObjectId>,
    /// Whether it has the documents of the objects.
    pub with_documents: bool,
    /// How it is compressed.
    pub compression: Compression,
    /// User metadata.
    pub tags: BTreeMap<String, String>,
}

/// Several backups, oldest first.
#[derive(Debug, Clone, Serialize)]
pub struct ShownBackups {
    /// The backups.
    pub backups: Vec<ShownBackup>,
    /// Why the manifests of others cannot be read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub damaged: Vec<String>,
}

/// A backup, and why it goes or stays.
#[derive(Debug, Clone, Serialize)]
pub struct Judged {
    /// The backup.
    #[serde(flatten)]
    pub backup: ShownBackup,
    /// Why, in words.
    pub reason: String,
}

/// What was pruned, or would be, and what is kept; oldest first.
#[derive(Debug, Clone, Serialize)]
pub struct ShownPrune {
    /// Those that were deleted, or would be.
    pub backups: Vec<Judged>,
    /// Those that are kept.
    pub kept: Vec<Judged>,
    /// Why the manifests of others cannot be read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub damaged: Vec<String>,
}

impl ShownPrune {
    /// The result of pruning, or of a dry run.
    pub fn new(pruned: &Pruned) -> Self {
        let judged = |manifest: &BackupManifest, reason: String| Judged {
            backup: manifest.clone().into(),
            reason,
        };
        let removed = pruned.removed.iter();
        let kept = pruned.kept.iter();
        Self {
            backups: removed
                .map(|one| judged(&one.manifest, removed_because(&one.reason)))
                .collect(),
            kept: kept
                .map(|one| judged(&one.manifest, kept_because(&one.reason)))
                .collect(),
            damaged: pruned.damaged.iter().map(ToString::to_string).collect(),
        }
    }
}

fn removed_because(reason: &PruneReason) -> String {
    match reason {
        PruneReason::Expired { keep_until } => {
            format!("retention ended {}", to_the_second(*keep_until))
        }
        PruneReason::NoFiles => "its files are gone".to_owned(),
        PruneReason::Old { created_at } => format!("older than {}", to_the_second(*created_at)),
        PruneReason::Superseded => "no rule keeps it".to_owned(),
        _ => "other".to_owned(),
    }
}

fn kept_because(reason: &KeepReason) -> String {
    match reason {
        KeepReason::Last { number } => format!("newest, number {number}"),
        KeepReason::Daily { day } => format!("newest of {day}"),
        KeepReason::Monthly { month } => format!("newest of {month}"),
        KeepReason::Tag { tag } => format!("tag {tag}"),
        KeepReason::Newest => "the newest is always kept".to_owned(),
        KeepReason::Retention { keep_until: None } => "retained indefinitely".to_owned(),
        KeepReason::Retention {
            keep_until: Some(until),
        } => format!("retained until {}", to_the_second(*until)),
        KeepReason::Archive => "archive".to_owned(),
        KeepReason::Migration { migration } => format!("migration {migration} is unfinished"),
        KeepReason::InUse { holder } => format!("being restored by {holder}"),
        KeepReason::Changed => "changed meanwhile".to_owned(),
        _ => "other".to_owned(),
    }
}

impl From<BackupManifest> for ShownBackup {
    fn from(manifest: BackupManifest) -> Self {
        Self {
            id: manifest.id,
            kind: manifest.kind,
            created_at: manifest.created_at,
            keep_until: manifest.settings.keep_until,
            sections: manifest.sections,
            events: manifest.events,
            uncompressed_bytes: manifest.checksums.uncompressed_bytes,
            stored_bytes: manifest.checksums.stored_bytes,
            stored_blake3: manifest.checksums.stored_blake3,
            migration: manifest.migration,
            first_object: manifest.first_object,
            with_documents: manifest.settings.content.documents,
            compression: manifest.settings.compression,
            tags: manifest.settings.tags,
        }
    }
}

impl ShownBackup {
    /// The backed up objects.
    pub fn of(&self) -> String {
        match (&self.first_object, self.sections) {
            (Some(object), 1) => object.to_string(),
            (_, sections) => counted(sections, "object"),
        }
    }

    /// Its kind in a word.
    pub fn kind(&self) -> &'static str {
        match self.kind {
            BackupKind::Backup => "backup",
            BackupKind::Archive => "archive",
            _ => "other",
        }
    }

    /// The retention: `until` a time, or `indefinitely`.
    pub fn retained(&self) -> String {
        self.keep_until.map_or_else(
            || "indefinitely".to_owned(),
            |t| format!("until {}", to_the_second(t)),
        )
    }

    /// Whether its retention has not ended.
    pub fn is_kept(&self, now: Timestamp) -> bool {
        self.keep_until.is_none_or(|until| until > now)
    }
}

impl ShownBackups {
    /// Sorts backups.
    pub fn new(manifests: Vec<BackupManifest>, damaged: &[Error]) -> Self {
        let mut backups: Vec<_> = manifests.into_iter().map(ShownBackup::from).collect();
        backups.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
        Self {
            backups,
            damaged: damaged.iter().map(ToString::to_string).collect(),
        }
    }
}
