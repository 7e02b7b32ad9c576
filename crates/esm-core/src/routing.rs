//! The routing table: the published phases of objects in migration, and the index of those that
//! have one. Hints, never authority: what is out of date costs a request and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{Error, ErrorKind, Result};
use crate::id::{MigrationId, ObjectId, StreamRef};
use crate::migration::{MigrationPhase, PhaseSignal, phase};
use crate::store::{RecordChange, RecordKey, Records, RecordsExt as _, change_record};

/// The phase of one object in one migration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoutingEntry {
    /// The migration.
    pub migration: MigrationId,
    /// Depth of the source in the object's chain of Closes. An entry whose generation is not the
    /// active stream's is out of date and ignored (R20).
    pub generation: u64,
    /// The source of the attempt.
    pub source: StreamRef,
    /// The target of the attempt.
    pub target: StreamRef,
    /// The phase.
    pub phase: MigrationPhase,
}

/// The active migrations that publish phases, and the objects for which they do (R21).
///
/// What applications poll: per-object entries are read only for objects that it names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhaseIndex {
    /// Version of the format, [`PhaseIndex::FORMAT`]. A reader refuses a newer one.
    pub format: u32,
    /// The objects of each migration; none without an object.
    pub migrations: BTreeMap<MigrationId, BTreeSet<ObjectId>>,
    /// Fields of newer versions; kept as they are.
    #[serde(flatten)]
    pub extra: BTreeMap<String, Value>,
}

impl Default for PhaseIndex {
    fn default() -> Self {
        Self {
            format: Self::FORMAT,
            migrations: BTreeMap::new(),
            extra: BTreeMap::new(),
        }
    }
}

impl PhaseIndex {
    /// The format that this version writes.
    pub const FORMAT: u32 = 1;

    /// Whether no migration publishes phases.
    pub fn is_empty(&self) -> bool {
        self.migrations.is_empty()
    }

    /// Whether a migration publishes phases of this object.
    pub fn names(&self, object: &ObjectId) -> bool {
        (self.migrations.values()).any(|objects| objects.contains(object))
    }

    /// Adds objects to a migration's; tells whether any was new.
    fn enlist(&mut self, migration: MigrationId, objects: &[ObjectId]) -> bool {
        if objects.is_empty() {
            return false;
        }
        let enlisted = self.migrations.entry(migration).or_default();
        let before = enlisted.len();
        enlisted.extend(objects.iter().cloned());
        enlisted.len() > before
    }

    /// Takes objects out of a migration's; tells whether any was there.
    fn delist(&mut self, migration: MigrationId, objects: &[ObjectId]) -> bool {
        let Some(enlisted) = self.migrations.get_mut(&migration) else {
            return false;
        };
        let before = enlisted.len();
        for object in objects {
            enlisted.remove(object);
        }
        let changed = enlisted.len() < before;
        if enlisted.is_empty() {
            self.migrations.remove(&migration);
        }
        changed
    }
}

/// Routing entries and their index over versioned records; ordered by their record numbers.
///
/// # Guarantees
/// 1. Every change is a compare-and-swap on what was read, and starts over when another was
///    faster. A change whose answer was lost is found done when it is looked at again.
/// 2. All changes may be repeated by anybody: what is so already is not written again.
///
/// Phases are hints. Who publishes them logs an error and goes on.
#[derive(Debug, Clone)]
pub struct RoutingTable {
    records: Arc<dyn Records>,
}

impl RoutingTable {
    /// The routing table in these records.
    pub fn new(records: Arc<dyn Records>) -> Self {
        Self { records }
    }

    /// The index; empty where there is none yet.
    ///
    /// # Errors
    /// `Unsupported` for a newer format; `Corrupt`; `Unavailable`.
    pub async fn index(&self) -> Result<PhaseIndex> {
        let newest = self.records.latest_as(&RecordKey::Index).await?;
        readable(newest.map(|(_, index)| index))
    }

    /// Adds objects to those of which a migration publishes phases, with one write for all of them.
    /// To be called before their first phase is published.
    ///
    /// # Errors
    /// As [`index`](Self::index); `Unavailable` also when others were faster every time.
    pub async fn enlist(&self, migration: MigrationId, objects: &[ObjectId]) -> Result<()> {
        self.change_index(|index| index.enlist(migration, objects))
            .await
    }

    /// Takes objects out of those of which a migration publishes phases, with one write for all of
    /// them. To be called after their last phase was published. Of a migration without objects
    /// nothing is left.
    ///
    /// # Errors
    /// As [`enlist`](Self::enlist).
    pub async fn delist(&self, migration: MigrationId, objects: &[ObjectId]) -> Result<()> {
        self.change_index(|index| index.delist(migration, objects))
            .await
    }

    async fn change_index(
        &self,
        mut change: impl FnMut(&mut PhaseIndex) -> bool + Send,
    ) -> Result<()> {
        change_record(&*self.records, &RecordKey::Index, |found| {
            let mut index = readable(found)?;
            Ok(match change(&mut index) {
                true => RecordChange::Write(index),
                false => RecordChange::Keep(index),
            })
        })
        .await
        .map(|_| ())
    }

    /// The newest entry of an object, of whatever generation.
    ///
    /// # Errors
    /// `Corrupt`; `Unavailable`.
    pub async fn newest(&self, object: &ObjectId) -> Result<Option<RoutingEntry>> {
        let key = RecordKey::Routing(object.clone());
        Ok(self.records.latest_as(&key).await?.map(|(_, entry)| entry))
    }

    /// The entry of an object at this generation; none means [`MigrationPhase::Normal`].
    ///
    /// # Errors
    /// `Corrupt`; `Unavailable`.
    pub async fn entry(&self, object: &ObjectId, generation: u64) -> Result<Option<RoutingEntry>> {
        let newest = self.newest(object).await?;
        Ok(newest.filter(|entry| entry.generation == generation))
    }

    /// Publishes, one phase at a time, forward or back, until the attempt that `begin` describes is
    /// in this phase (R20). What `begin` itself says of a phase does not count.
    ///
    /// It starts from what stands there: an entry of this attempt is gone on with; one of an earlier
    /// generation is over; one of another attempt at the same source is taken back first, but for one
    /// of another migration where this attempt is over: that one stays.
    ///
    /// # Errors
    /// - `Fenced` when an entry of a later generation stands, or another attempt's books are
    ///   closed: this one is superseded.
    /// - `Conflict` for a way that does not exist: nothing goes back from
    ///   [`MigrationPhase::BookClosed`].
    /// - `Unavailable`, also when others were faster every time; `Corrupt`.
    pub async fn advance_to(
        &self,
        object: &ObjectId,
        begin: &RoutingEntry,
        phase: MigrationPhase,
    ) -> Result<()> {
        /// All the way back and forward again, twice.
        const STEPS: usize = 4 * MigrationPhase::ALL.len();
        let key = RecordKey::Routing(object.clone());
        for _ in 0..STEPS {
            let entry = change_record(&*self.records, &key, |found| step(found, begin, phase));
            let entry = entry.await?;
            if entry.target == begin.target && entry.phase == phase {
                return Ok(());
            }
        }
        Err(Error::new(
            ErrorKind::Unavailable,
            format!("others publish other phases of {object}, again and again"),
        ))
    }
}

/// # Errors
/// `Unsupported` for a newer format.
fn readable(index: Option<PhaseIndex>) -> Result<PhaseIndex> {
    let index = index.unwrap_or_default();
    match index.format > PhaseIndex::FORMAT {
        true => Err(Error::unsupported(format!(
            "the index of migrations has format {}, known is {}",
            index.format,
            PhaseIndex::FORMAT
        ))
        .with_hint("use a newer version of esm")),
        false => Ok(index),
    }
}

/// What to write next on the way from the entry that stands there to a phase of the attempt that
/// `begin` describes: pure. Nothing when it is there.
///
/// # Errors
/// As [`RoutingTable::advance_to`], but for those of the records.
pub fn next_entry(
    found: Option<RoutingEntry>,
    begin: &RoutingEntry,
    phase: MigrationPhase,
) -> Result<Option<RoutingEntry>> {
    let begin = RoutingEntry {
        phase: MigrationPhase::Normal,
        ..begin.clone()
    };
    let (current, wanted) = match found {
        None => (begin, phase),
        Some(e) if e.generation > begin.generation => return Err(superseded(&e)),
        Some(e) if e.generation < begin.generation => (begin, phase),
        Some(e) if e.target == begin.target => (e, phase),
        Some(e) if e.phase == MigrationPhase::Normal => (begin, phase),
        Some(e) if e.phase == MigrationPhase::BookClosed => return Err(superseded(&e)),
        // what another migration has come to is not for this one to take back
        Some(e) if phase == MigrationPhase::Normal && e.migration != begin.migration => {
            return Ok(None);
        }
        // another attempt at the same source: back first
        Some(e) => (e, MigrationPhase::Normal),
    };
    let Some(signal) = towards(current.phase, wanted) else {
        return Ok(None);
    };
    let phase = phase::next(current.phase, signal)
        .map_err(|illegal| Error::new(ErrorKind::Conflict { actual: None }, illegal.to_string()))?;
    Ok(Some(RoutingEntry { phase, ..current }))
}

/// # Errors
/// As [`next_entry`].
fn step(
    found: Option<RoutingEntry>,
    begin: &RoutingEntry,
    phase: MigrationPhase,
) -> Result<RecordChange<RoutingEntry>> {
    Ok(match next_entry(found, begin, phase)? {
        Some(next) => RecordChange::Write(next),
        None => RecordChange::Keep(RoutingEntry {
            phase,
            ..begin.clone()
        }),
    })
}

fn superseded(by: &RoutingEntry) -> Error {
    let message = format!("another migration went past this one: {}", by.migration);
    Error::new(ErrorKind::Fenced, message)
}

/// The signal that leads one step closer; none when it is there.
fn towards(from: MigrationPhase, to: MigrationPhase) -> Option<PhaseSignal> {
    match from.cmp(&to) {
        std::cmp::Ordering::Equal => None,
        std::cmp::Ordering::Greater => Some(PhaseSignal::Undo),
        std::cmp::Ordering::Less => Some(match from {
            MigrationPhase::Normal => PhaseSignal::Copying,
            MigrationPhase::DualWrite => PhaseSignal::Verified,
            MigrationPhase::DualRead => PhaseSignal::CuttingOver,
            MigrationPhase::Cutover | MigrationPhase::BookClosed => PhaseSignal::BooksClosed,
        }),
    }
}
