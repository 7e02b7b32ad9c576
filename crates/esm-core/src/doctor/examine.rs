//! An examination: the objects, what migrations left, the backups, and what nothing names.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use futures::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use serde::Serialize;

use crate::doctor::finding::{Finding, FindingKind, Remedy, Severity, Subject};
use crate::doctor::look::object::{self, ObjectFindings};
use crate::doctor::look::{stored, stray, work};
use crate::doctor::service::{Depth, Doctor};
use crate::error::{ErrorKind, Result};
use crate::id::{MigrationId, ObjectId, StreamId, StreamRef};
use crate::object::KnownStores;
use crate::protocol::plan::Scope;
use crate::store::{RecordKey, StoredContent, StoredItem};

/// Objects, and items of the inventory, that are examined at the same time.
const AT_ONCE: usize = 16;
/// Streams that are remembered, to tell those that nothing names from the others without a request.
const REMEMBERED: usize = 1 << 20;
/// Removed targets of undone migrations that are remembered, to tell what was written to one since.
const REMOVED: usize = 1 << 15;

/// What an examination reports while it runs.
#[derive(Debug)]
#[non_exhaustive]
pub enum Observed {
    /// Something was found.
    Finding(Box<Finding>),
    /// An object was examined.
    Object,
}

/// What an examination has examined.
#[derive(Debug, Clone, Default, Serialize)]
#[non_exhaustive]
pub struct Examined {
    /// Objects.
    pub objects: u64,
    /// Streams in their chains.
    pub streams: u64,
    /// Events of these streams.
    pub events: u64,
    /// Migrations.
    pub migrations: u64,
    /// Backups and archives.
    pub backups: u64,
    /// Findings of [`Severity::Error`].
    pub errors: u64,
    /// Findings of [`Severity::Warning`].
    pub warnings: u64,
    /// Findings of [`Severity::Info`].
    pub infos: u64,
    /// What could not be examined.
    pub not_examined: Vec<NotExamined>,
}

/// Something that an examination could not examine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct NotExamined {
    /// What.
    pub what: &'static str,
    /// Why not.
    pub why: String,
}

impl Doctor {
    /// Examines these objects. All objects mean the whole store: also its migrations, locks, records
    /// and backups, and what nothing names.
    ///
    /// Objects are examined in parallel, so findings come in no particular order.
    ///
    /// # Errors
    /// - `NotFound` for a named object that does not exist.
    /// - `Cancelled`; `Unavailable` and the others of the stores, except for damage: an examination
    ///   that cannot read does not say what it does not know.
    pub async fn examine(
        &self,
        scope: &Scope,
        observer: impl FnMut(Observed) + Send,
    ) -> Result<Examined> {
        let mut run = Run {
            doctor: self,
            observer,
            examined: Examined::default(),
            seen: Seen::default(),
        };
        run.objects(scope).await?;
        if *scope == Scope::All {
            run.work().await?;
            run.backups().await?;
            run.items().await?;
        }
        Ok(run.examined)
    }
}

struct Run<'a, F> {
    doctor: &'a Doctor,
    observer: F,
    examined: Examined,
    seen: Seen,
}

/// What was seen of the streams of objects.
#[derive(Default)]
struct Seen {
    /// Hashes of the streams in the chains of objects.
    known: HashSet<u64>,
    /// Hashes of those that were reported to be damaged.
    damaged: HashSet<u64>,
    /// Targets that were removed after a Fence, with the object and the migration.
    removed: HashMap<StreamId, (ObjectId, MigrationId)>,
}

impl<F: FnMut(Observed) + Send> Run<'_, F> {
    fn found(&mut self, finding: Finding) {
        let count = match finding.severity {
            Severity::Error => &mut self.examined.errors,
            Severity::Warning => &mut self.examined.warnings,
            Severity::Info => &mut self.examined.infos,
        };
        *count += 1;
        (self.observer)(Observed::Finding(Box::new(finding)));
    }

    fn not_examined(&mut self, what: &'static str, why: impl ToString) {
        let why = why.to_string();
        self.examined.not_examined.push(NotExamined { what, why });
    }

    async fn objects(&mut self, scope: &Scope) -> Result<()> {
        let doctor = self.doctor;
        let (objects, listed): (BoxStream<'_, Result<ObjectId>>, bool) = match scope {
            Scope::Objects(objects) => {
                (stream::iter(objects.iter().cloned().map(Ok)).boxed(), false)
            }
            Scope::Name(name) => (doctor.documents.objects(Some(name.clone())), true),
            Scope::All => (doctor.documents.objects(None), true),
        };
        let mut found = objects
            .map_ok(|object| async move { object::examine(doctor, &object, listed).await })
            .try_buffer_unordered(AT_ONCE);
        while let Some(ObjectFindings {
            findings,
            streams,
            events,
            fenced,
            damaged,
        }) = found.try_next().await?
        {
            doctor.refuse_cancelled()?;
            self.examined.objects += 1;
            self.examined.streams += streams.len() as u64;
            self.examined.events += events;
            streams.iter().for_each(|stream| self.remember(stream));
            let room = REMEMBERED.saturating_sub(self.seen.damaged.len());
            let hashes = damaged.iter().map(|stream| hash(&stream.stream));
            self.seen.damaged.extend(hashes.take(room));
            let room = REMOVED.saturating_sub(self.seen.removed.len());
            let removed = fenced.into_iter().take(room);
            let removed = removed.map(|(object, fence)| (fence.target, (object, fence.migration)));
            self.seen.removed.extend(removed);
            findings.into_iter().for_each(|finding| self.found(finding));
            (self.observer)(Observed::Object);
        }
        Ok(())
    }

    fn remember(&mut self, stream: &StreamRef) {
        let home = self.doctor.stores.home();
        if self.seen.known.len() < REMEMBERED
            && (stream.store == home.id() || home.aliases().contains(&stream.store))
        {
            self.seen.known.insert(hash(&stream.stream));
        }
    }

    async fn work(&mut self) -> Result<()> {
        let doctor = self.doctor;
        let migrations = work::migrations(doctor, |finding| self.found(finding)).await;
        match migrations {
            Ok(migrations) => self.examined.migrations = migrations,
            Err(error) if *error.kind() == ErrorKind::Unsupported => {
                self.not_examined("migrations", error);
            }
            Err(error) => return Err(error),
        }
        match work::index(doctor).await {
            Ok(findings) => findings.into_iter().for_each(|finding| self.found(finding)),
            Err(error) if *error.kind() == ErrorKind::Unsupported => {
                self.not_examined("published phases", error);
            }
            Err(error) => return Err(error),
        }
        // the inventory lists the other records, and all locks
        if doctor.inventory.is_none() {
            match KnownStores::new(doctor.records.clone()).list().await {
                Err(error) if *error.kind() == ErrorKind::Corrupt => {
                    let subject = Subject::Record(RecordKey::KnownStores.to_string());
                    let kind = FindingKind::DamagedRecord;
                    self.found(Finding::new(kind, subject, error, Remedy::PutBack));
                }
                Err(error) if *error.kind() != ErrorKind::Unsupported => return Err(error),
                _ => {}
            }
            let held = work::held_locks(doctor).await?;
            held.into_iter().for_each(|finding| self.found(finding));
        }
        Ok(())
    }

    async fn backups(&mut self) -> Result<()> {
        let doctor = self.doctor;
        let Some(provider) = &doctor.backups else {
            self.not_examined("backups", "no backups were given");
            return Ok(());
        };
        let backups = stored::backups(doctor, provider, |finding| self.found(finding)).await?;
        self.examined.backups = backups;
        Ok(())
    }

    /// Examines what the storage holds.
    async fn items(&mut self) -> Result<()> {
        let doctor = self.doctor;
        let Some(inventory) = &doctor.inventory else {
            let why = "the store cannot list what it holds";
            self.not_examined(
                "what nothing names: streams, targets, unfinished backups, files",
                why,
            );
            return Ok(());
        };
        if doctor.depth > Depth::Quick {
            match inventory.check().await {
                Err(error) if *error.kind() == ErrorKind::Corrupt => {
                    let (kind, subject) = (FindingKind::DamagedStorage, Subject::Storage);
                    self.found(Finding::new(kind, subject, error, Remedy::PutBack));
                }
                checked => checked?,
            }
        }
        let seen = std::mem::take(&mut self.seen);
        let mut items = inventory
            .items()
            .map_ok(|item| examine_item(doctor, &seen, item))
            .try_buffer_unordered(AT_ONCE);
        while let Some(findings) = items.try_next().await? {
            doctor.refuse_cancelled()?;
            findings.into_iter().for_each(|finding| self.found(finding));
        }
        Ok(())
    }
}

fn hash(stream: &StreamId) -> u64 {
    let mut hasher = DefaultHasher::new();
    stream.hash(&mut hasher);
    hasher.finish()
}

async fn examine_item(doctor: &Doctor, seen: &Seen, item: StoredItem) -> Result<Vec<Finding>> {
    let place = item.place;
    let unknown = |detail: &str| {
        let (kind, subject) = (FindingKind::UnknownFile, Subject::Place(place.clone()));
        let remedy = Remedy::Nothing("nobody reads it");
        vec![Finding::new(kind, subject, detail, remedy)]
    };
    Ok(match item.content {
        StoredContent::Stream { stream, cells } => {
            let is_known = seen.known.contains(&hash(&stream));
            let is_reported = seen.damaged.contains(&hash(&stream));
            let mut findings = Vec::new();
            if !is_known {
                let removed = seen.removed.get(&stream);
                let stray = stray::examine(doctor, &stream, cells, &place, removed).await?;
                findings.extend(stray);
            }
            if findings.is_empty() && !is_reported && (cells.has_gap() || is_known) {
                findings.extend(stored::gap(doctor, &stream, cells, &place).await?);
            }
            findings
        }
        StoredContent::Record { key, versions } => {
            stored::record(doctor, &key, versions, &place).await?
        }
        StoredContent::Lock(name) => work::lock(doctor, &name).await?.into_iter().collect(),
        StoredContent::Backup {
            backup,
            has_manifest,
        } => match &doctor.backups {
            Some(provider) if !has_manifest => {
                let unfinished = stored::unfinished_backup(provider, &backup, &place).await?;
                unfinished.into_iter().collect()
            }
            _ => Vec::new(),
        },
        StoredContent::Unnamed => unknown("its name cannot be read"),
        StoredContent::Unknown => unknown("the store has not written it"),
    })
}
