//! The report of backups.

use std::collections::BTreeMap;

use esm_core::Error;
use esm_core::id::{BackupId, MigrationId, ObjectId};
use esm_core::store::{BackupKind, BackupManifest, Compression};
use jiff::Timestamp;
use serde::Serialize;

use crate::exit::Exit;
use crate::output::{Facts, Form, Table, Text, bytes, count, counted, short_id, to_the_second};
use crate::session::Session;

/// A backup as it is reported.
#[derive(Debug, Clone, Serialize)]
pub(super) struct ShownBackup {
    pub(super) id: BackupId,
    pub(super) kind: BackupKind,
    pub(super) created_at: Timestamp,
    pub(super) keep_until: Option<Timestamp>,
    pub(super) sections: u64,
    pub(super) events: u64,
    pub(super) uncompressed_bytes: u64,
    pub(super) stored_bytes: u64,
    pub(super) stored_blake3: String,
    pub(super) migration: Option<MigrationId>,
    pub(super) first_object: Option<ObjectId>,
    pub(super) with_documents: bool,
    pub(super) compression: Compression,
    pub(super) tags: BTreeMap<String, String>,
}

/// Several backups, oldest first.
#[derive(Debug, Serialize)]
pub(super) struct ShownBackups {
    pub(super) backups: Vec<ShownBackup>,
    /// Why the manifests of others cannot be read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    damaged: Vec<String>,
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
    fn of(&self) -> String {
        match (&self.first_object, self.sections) {
            (Some(object), 1) => object.to_string(),
            (_, sections) => counted(sections, "object"),
        }
    }

    fn kind(&self) -> &'static str {
        match self.kind {
            BackupKind::Backup => "backup",
            BackupKind::Archive => "archive",
            _ => "other",
        }
    }

    /// The retention: `until` a time, or `indefinitely`.
    pub(super) fn retained(&self) -> String {
        self.keep_until.map_or_else(
            || "indefinitely".to_owned(),
            |t| format!("until {}", to_the_second(t)),
        )
    }

    /// Whether its retention has not ended.
    pub(super) fn is_kept(&self, now: Timestamp) -> bool {
        self.keep_until.is_none_or(|until| until > now)
    }

    /// One backup as lines.
    pub(super) fn text(&self, form: Form) -> Text {
        let mut facts = Facts::new();
        facts
            .add("backup", &self.id)
            .add("kind", self.kind())
            .add("objects", self.of())
            .add("created", to_the_second(self.created_at))
            .add("retained", self.retained())
            .add("events", count(self.events))
            .add("size", bytes(self.uncompressed_bytes))
            .add("stored", bytes(self.stored_bytes))
            .add("blake3", &self.stored_blake3)
            .add_some("migration", self.migration);
        for (key, value) in &self.tags {
            facts.add(format!("tag {key}"), value);
        }
        facts.to_text(form)
    }
}

impl ShownBackups {
    /// Sorts backups.
    pub(super) fn new(manifests: Vec<BackupManifest>, damaged: &[Error]) -> Self {
        let mut backups: Vec<_> = manifests.into_iter().map(ShownBackup::from).collect();
        backups.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
        Self {
            backups,
            damaged: damaged.iter().map(ToString::to_string).collect(),
        }
    }

    /// The backups as a table.
    pub(super) fn text(&self, form: Form) -> Text {
        if self.backups.is_empty() {
            return "no backups".into();
        }
        let mut table = Table::new([
            "backup", "kind", "objects", "events", "stored", "created", "retained",
        ]);
        for backup in &self.backups {
            table.row([
                short_id(&backup.id, form),
                backup.kind().to_owned(),
                backup.of(),
                backup.events.to_string(),
                bytes(backup.stored_bytes),
                to_the_second(backup.created_at),
                backup.retained(),
            ]);
        }
        table.to_text(form)
    }
}

/// Reports damaged manifests, and returns the exit code of a command that did everything else.
pub(super) fn report_damaged(session: &Session, damaged: &[Error]) -> Exit {
    let mut exit = Exit::Success;
    for error in damaged {
        exit = session.output().fail(error);
    }
    exit
}
