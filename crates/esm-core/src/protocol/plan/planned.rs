//! The durable part of a migration's plan.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::id::{Fingerprint, MigrationId, ObjectId, ObjectName, StoreId, StreamName, StreamRef};
use crate::protocol::control::{Settings, SettingsChange};
use crate::protocol::gate::CutoverOptions;
use crate::protocol::plan::{BulkOptions, CopyOptions, Reverses, WayBack};
use crate::protocol::routing::PublishPhases;
use crate::store::{BackupSettings, OnRetired};
use crate::transform::{EventTransformer as _, Identity};

/// How a stream is moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MigrationStrategy {
    /// Copies and transforms every event into a fresh stream, then cuts over.
    #[default]
    CopyAndTransform,
    /// Transforms on read. Not built yet: refused as `Unsupported`.
    LazyTransform,
    /// Rewrites events under their own numbers, in the tables of another library. A dry run shows it;
    /// the provider of such tables carries it out, and a migration service refuses it as
    /// `Unsupported`.
    InPlaceTransform,
}

/// Which objects are migrated.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// These.
    Objects(Vec<ObjectId>),
    /// All of this name.
    Name(ObjectName),
    /// All of the store.
    All,
}

impl Scope {
    /// The only object, if it is one.
    pub fn single(&self) -> Option<&ObjectId> {
        match self {
            Self::Objects(objects) if objects.len() == 1 => objects.first(),
            _ => None,
        }
    }
}

impl std::fmt::Display for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Objects(objects) => match objects.as_slice() {
                [only] => only.fmt(f),
                many => write!(f, "{} objects", many.len()),
            },
            Self::Name(name) => write!(f, "all objects named {name}"),
            Self::All => f.write_str("all objects"),
        }
    }
}

/// How books are closed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct BookClosing {
    /// Write and verify an archive of the closed stream, like this.
    pub archive: Option<BackupSettings>,
    /// User metadata of the terminated stream.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
}

/// What a migration does, as its journal stores it. A process that resumes it does exactly this.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedMigration {
    /// The migration.
    pub migration: MigrationId,
    /// When it was planned.
    pub created_at: Timestamp,
    /// The store that the sources are in.
    pub store: StoreId,
    /// Which objects.
    pub scope: Scope,
    /// The source that a single object must still have when it begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<StreamRef>,
    /// The target's logical name; absent means `{name}-{key}-v{generation}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<StreamName>,
    /// The store that the targets go to; absent means where the sources are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_store: Option<StoreId>,
    /// How.
    pub strategy: MigrationStrategy,
    /// The transformation.
    pub fingerprint: Fingerprint,
    /// How events are copied.
    pub copy: CopyOptions,
    /// How several objects are migrated.
    pub bulk: BulkOptions,
    /// What becomes of appends of the schemas that this migration retires; defaults to
    /// refusing them ([R11](crate::protocol#r11)).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_retired: Option<OnRetired>,
    /// When a source that is ready may be closed.
    #[serde(default, skip_serializing_if = "is_default")]
    pub cutover: CutoverOptions,
    /// Whether phases are published to applications.
    #[serde(default, skip_serializing_if = "is_default")]
    pub phases: PublishPhases,
    /// The limits that it begins with.
    #[serde(default, skip_serializing_if = "is_default")]
    pub throttle: SettingsChange,
    /// Whether to back up first, and how.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<BackupSettings>,
    /// Whether to close the books, and how.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub close_books: Option<BookClosing>,
    /// Whether a failure before the pivot is undone at once.
    pub rollback_on_failure: bool,
    /// Whether to migrate objects whose active stream went through the same transformation
    /// already.
    pub again: bool,
    /// The migration that this one reverses, if it is the undo of one after its pivot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reverses: Option<Reverses>,
    /// What the plan says of undoing this one after its pivot.
    #[serde(default, skip_serializing_if = "is_default")]
    pub way_back: WayBack,
    /// User metadata; the command line keeps here what it needs to resume.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl PlannedMigration {
    /// A plan with the defaults, which lacks its id, its time and the fingerprint of its
    /// transformation: those of nothing stand for them.
    pub(crate) fn draft(store: StoreId, scope: Scope) -> Self {
        Self {
            migration: MigrationId::from_uuid(uuid::Uuid::nil()),
            created_at: Timestamp::UNIX_EPOCH,
            store,
            scope,
            source: None,
            target: None,
            target_store: None,
            strategy: MigrationStrategy::default(),
            fingerprint: Identity.fingerprint(),
            copy: CopyOptions::default(),
            bulk: BulkOptions::default(),
            on_retired: None,
            cutover: CutoverOptions::default(),
            phases: PublishPhases::default(),
            throttle: SettingsChange::default(),
            backup: None,
            close_books: None,
            rollback_on_failure: false,
            again: false,
            reverses: None,
            way_back: WayBack::default(),
            annotations: BTreeMap::new(),
        }
    }

    /// The settings that the migration begins with.
    pub fn settings(&self) -> Settings {
        self.throttle.applied_to(Settings {
            cell_events: self.copy.cell_events,
            cell_bytes: self.copy.cell_bytes,
            concurrency: self.bulk.concurrency,
            ..Settings::default()
        })
    }

    /// The logical name of the target of an object with this many terminated streams.
    pub(crate) fn target_name(
        &self,
        object: &ObjectId,
        terminated: usize,
    ) -> crate::Result<StreamName> {
        if let Some(name) = &self.target {
            return Ok(name.clone());
        }
        generation_name(object, terminated)
    }
}

/// The logical name of an object's stream that follows this many terminated ones:
/// `{name}-{key}-v{generation}`.
pub(crate) fn generation_name(object: &ObjectId, terminated: usize) -> crate::Result<StreamName> {
    let version = format!("-v{}", terminated + 2);
    let mut base = format!("{}-{}", object.name(), object.key());
    while base.len() + version.len() > StreamName::MAX_BYTES {
        base.pop();
    }
    StreamName::new(base + &version)
}
