//! What a doctor finds, and what it means.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use crate::error::{Error, Result};
use crate::id::{BackupId, LockName, MigrationId, ObjectId, StreamRef};

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// The same for the same kind of finding of the same subject, however often it is found.
    pub id: FindingId,
    /// What it is.
    pub kind: FindingKind,
    /// How bad it is.
    pub severity: Severity,
    /// What it is about.
    pub subject: Subject,
    /// What was seen, with the names of files where the store has some.
    pub detail: String,
    /// What mends it.
    pub remedy: Remedy,
    /// The number of a cell that was seen, if it is about a stream that may be removed: once that one is
    /// gone, so is the finding.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cell: Option<u64>,
}

impl Finding {
    pub(crate) fn new(
        kind: FindingKind,
        subject: Subject,
        detail: impl fmt::Display,
        remedy: Remedy,
    ) -> Self {
        Self {
            id: FindingId::of(kind, &subject),
            severity: kind.severity(),
            kind,
            subject,
            detail: detail.to_string(),
            remedy,
            cell: None,
        }
    }

    pub(super) fn at_cell(self, cell: Option<u64>) -> Self {
        Self { cell, ..self }
    }

    /// Damage of a stream that is examined without its object.
    pub(super) fn damaged_stream(stream: &StreamRef, detail: impl fmt::Display) -> Self {
        let subject = Subject::Stream(stream.clone());
        Self::new(FindingKind::DamagedStream, subject, detail, Remedy::PutBack)
    }
}

/// Identifies a finding: eight hexadecimal digits that follow from its kind and its subject.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct FindingId(String);

impl FindingId {
    const DIGITS: usize = 8;

    fn of(kind: FindingKind, subject: &Subject) -> Self {
        let mut hash = blake3::Hasher::new_derive_key("esm finding id v1");
        hash.update(kind.name().as_bytes());
        hash.update(subject.to_string().as_bytes());
        Self(hash.finalize().to_hex()[..Self::DIGITS].to_owned())
    }
}

impl fmt::Display for FindingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for FindingId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if text.len() == Self::DIGITS && text.bytes().all(is_digit) {
            return Ok(Self(text.to_owned()));
        }
        Err(Error::invalid(format!("not the id of a finding: {text:?}"))
            .with_hint("a doctor prints the ids: eight hexadecimal digits"))
    }
}

/// What a finding is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Subject {
    /// An object.
    Object(ObjectId),
    /// A stream, of which object is not known.
    Stream(StreamRef),
    /// A stream of an object.
    StreamOf {
        /// The object.
        object: ObjectId,
        /// The stream.
        stream: StreamRef,
    },
    /// A migration.
    Migration(MigrationId),
    /// A lock.
    Lock(LockName),
    /// A backup or an archive.
    Backup(BackupId),
    /// A record, in words.
    Record(String),
    /// A file, or the place of something else that is stored.
    Place(String),
    /// The storage as a whole.
    Storage,
}

impl Subject {
    pub(super) fn stream_of(object: &ObjectId, stream: &StreamRef) -> Self {
        Self::StreamOf {
            object: object.clone(),
            stream: stream.clone(),
        }
    }
}

/// The subject in words: `object order/1`.
impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Object(object) => write!(f, "object {object}"),
            Self::Stream(stream) => write!(f, "stream {}", stream.stream),
            Self::StreamOf { object, stream } => {
                write!(f, "object {object}, stream {}", stream.stream)
            }
            Self::Migration(migration) => write!(f, "migration {migration}"),
            Self::Lock(lock) => write!(f, "lock {lock}"),
            Self::Backup(backup) => write!(f, "backup {backup}"),
            Self::Record(record) => f.write_str(record),
            Self::Place(place) => f.write_str(place),
            Self::Storage => f.write_str("storage"),
        }
    }
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Events, documents or backups are damaged or missing.
    Error,
    /// No event is concerned, but something waits, is left behind, or is not known.
    Warning,
    /// Nothing needs to be done.
    Info,
}

/// What mends a finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Remedy {
    /// Restoring a backup or an archive in the place of the object's active stream.
    RestoreObject(ObjectId),
    /// Doing an interrupted restore of this backup again.
    RestoreAgain(String),
    /// Putting the files back from a copy of the storage; nothing else can.
    PutBack,
    /// Writing the document again from the streams, or putting it back from a copy of the storage.
    Rebuild,
    /// Resuming the migration, or rolling it back.
    ResumeOrRollBack(MigrationId),
    /// Rolling the migration back: it is being undone.
    RollBack(MigrationId),
    /// Migrating the same objects again.
    MigrateAgain,
    /// Breaking the lock.
    BreakLock(LockName),
    /// Deleting the backup.
    DeleteBackup(BackupId),
    /// Pruning the backups.
    PruneBackups,
    /// Naming the store that the events are in.
    NameStore,
    /// It is mended by what happens next; in words.
    Later(&'static str),
    /// Nothing needs to be done; in words.
    Nothing(&'static str),
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $name:literal, $severity:ident,
        $readers:literal, $writers:literal;)*) => {
        /// The kinds of findings.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum FindingKind {
            $($(#[$doc])* $kind,)*
        }

        impl FindingKind {
            /// All kinds.
            pub const ALL: &[Self] = &[$(Self::$kind),*];

            /// Its name, as JSON has it.
            pub fn name(self) -> &'static str {
                match self { $(Self::$kind => $name,)* }
            }

            /// How bad it is.
            pub fn severity(self) -> Severity {
                match self { $(Self::$kind => Severity::$severity,)* }
            }

            /// What it means for those who read.
            pub fn for_readers(self) -> &'static str {
                match self { $(Self::$kind => $readers,)* }
            }

            /// What it means for those who append, migrate or restore.
            pub fn for_writers(self) -> &'static str {
                match self { $(Self::$kind => $writers,)* }
            }
        }
    };
}

const _: () = assert!(FindingKind::ALL.len() == 28);

kinds! {
    /// A cell cannot be read, is missing, or does not follow the one before it.
    DamagedStream = "damaged_stream", Error,
        "reads of these events fail", "appends and migrations fail if it is the active stream";
    /// A stream has less than its document or the Close before it says.
    LostEvents = "lost_events", Error,
        "reads fail; what is left is never returned as all", "appends and migrations fail";
    /// The document and the Close of a stream disagree.
    DocumentContradicts = "document_contradicts", Error,
        "the stream decides", "the stream decides; a migration of it or a rollback may be refused";
    /// A Close leads to a stream that does not name the closed one.
    TargetContradicts = "target_contradicts", Error,
        "reads fail at the Close", "appends fail";
    /// The document of an object cannot be read.
    DamagedDocument = "damaged_document", Error,
        "the object cannot be read", "the object cannot be appended to or migrated";
    /// A stream that was closed, and no document leads to it.
    MissingDocument = "missing_document", Error,
        "the object is not listed and cannot be read", "the object cannot be appended to";
    /// A record other than a document cannot be read.
    DamagedRecord = "damaged_record", Error,
        "no event is concerned", "what the record is for does not work";
    /// A backup cannot be read.
    DamagedBackup = "damaged_backup", Error,
        "no event of the store is concerned", "it cannot be restored";
    /// The structure of the storage is damaged.
    DamagedStorage = "damaged_storage", Error,
        "anything may be missing", "stop writing until it is mended";
    /// A stream continues in a store that is not open here.
    UnknownStore = "unknown_store", Warning,
        "applications that do not know it cannot read on", "nor append";
    /// An earlier version of a document, with older streams, cannot be read.
    DamagedVersion = "damaged_version", Warning,
        "positions in streams that were closed long ago cannot be used", "nothing";
    /// Versions of a record are missing.
    MissingVersions = "missing_versions", Warning,
        "an older version may be taken for the newest", "writing the next version may fail";
    /// The document names a stream that was closed.
    DocumentBehind = "document_behind", Warning,
        "reads follow the Close: a request more", "appends follow the Close and correct it";
    /// A stream that no document names; it was never closed.
    StreamWithoutDocument = "stream_without_document", Warning,
        "the object is not listed", "an import that was interrupted, or has just begun";
    /// The target of an attempt that was fenced off.
    FencedTarget = "fenced_target", Warning,
        "nothing: no reader sees it", "nothing: it costs space";
    /// The target of an attempt whose source was closed to another.
    SupersededTarget = "superseded_target", Warning,
        "nothing: no reader sees it", "nothing: it costs space";
    /// The target of an attempt that nobody continues.
    OrphanedTarget = "orphaned_target", Warning,
        "nothing: no reader sees it", "nothing: it costs space";
    /// A restore that was not finished.
    UnfinishedRestore = "unfinished_restore", Warning,
        "nothing: no reader sees it", "nothing: it costs space";
    /// A migration that no process works on and that has not ended.
    UnfinishedMigration = "unfinished_migration", Warning,
        "nothing: objects are readable in each state", "nothing: appends continue";
    /// The journal of a migration cannot be read to its end.
    DamagedJournal = "damaged_journal", Warning,
        "nothing: the streams decide", "the migration can be neither resumed nor rolled back";
    /// A lock whose holder has ended, or that cannot be read.
    DeadLock = "dead_lock", Warning,
        "nothing", "migrations of these objects wait until it expires";
    /// The index names a migration that has ended.
    IndexLeftover = "index_leftover", Warning,
        "applications read an entry more at each poll", "nothing";
    /// A published phase of a migration that has ended.
    PhaseLeftover = "phase_leftover", Warning,
        "nothing: phases are hints", "nothing: phases are hints";
    /// A manifest whose files are gone.
    BackupWithoutFiles = "backup_without_files", Warning,
        "nothing", "it cannot be restored";
    /// Files of a backup without a manifest.
    UnfinishedBackup = "unfinished_backup", Warning,
        "nothing", "it is no backup; it is being written now, or its process has died";
    /// A damaged stream that a restore has replaced.
    ReplacedStream = "replaced_stream", Info,
        "nothing: the restored stream is read", "nothing: the restored stream is appended to";
    /// A document names an archive that is not among the backups.
    MissingArchive = "missing_archive", Info,
        "nothing", "the archive is in another store, or is lost";
    /// A file that the store has not written, or whose name cannot be read.
    UnknownFile = "unknown_file", Info,
        "nothing", "nothing";
}

impl fmt::Display for FindingKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for FindingKind {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_finding_has_the_same_id_each_time_and_another_than_others() {
        let object: ObjectId = "order/1".parse().unwrap();
        let ids: BTreeSet<_> = FindingKind::ALL
            .iter()
            .map(|kind| FindingId::of(*kind, &Subject::Object(object.clone())))
            .collect();
        assert_eq!(ids.len(), FindingKind::ALL.len());
        for id in ids {
            assert_eq!(id.to_string().parse::<FindingId>().unwrap(), id);
        }
    }

    #[test]
    fn what_is_no_id_is_refused() {
        for text in ["", "abc", "0123456G", "012345678"] {
            assert!(text.parse::<FindingId>().is_err(), "{text}");
        }
    }
}
