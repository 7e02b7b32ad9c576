//! The routing table: the published phases of objects in migration, and the index of those that
//! have one. Hints, never authority: what is out of date costs a request and nothing else.

use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::id::{MigrationId, ObjectId};
use crate::protocol::phase::MigrationPhase;
use crate::protocol::routing::{PhaseIndex, RoutingEntry, next_entry};
use crate::store::{RecordChange, RecordKey, Records, RecordsExt as _, change_record};

/// Routing entries and their index over versioned records; ordered by their record numbers.
///
/// # Guarantees
/// 1. Every change is a compare-and-swap on what was read, and starts over when a concurrent
///    change won. A change whose response was lost is found done when it is read again.
/// 2. All changes may be repeated by anybody: what is so already is not written again.
///
/// Phases are hints. A publisher that meets an error logs it and continues.
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
    /// As [`index`](Self::index); `Unavailable` also when concurrent changes won every time.
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
            let mut index = readable(found.map(|(_, index)| index))?;
            Ok(if change(&mut index) {
                RecordChange::Write(index)
            } else {
                RecordChange::Keep(index)
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
    /// in this phase ([R20](crate::protocol#r20)). What `begin` itself says of a phase does not
    /// count.
    ///
    /// It starts from the present entry: one of this attempt is continued; one of an earlier
    /// generation is over; one of another attempt at the same source is taken back first, but for
    /// one of another migration where this attempt is over: that one stays.
    ///
    /// # Errors
    /// - `Fenced` when there is an entry of a later generation, or another attempt's books are
    ///   closed: this one is superseded.
    /// - `Conflict` for a way that does not exist: nothing goes back from
    ///   [`MigrationPhase::BookClosed`].
    /// - `Unavailable`, also when concurrent changes won every time; `Corrupt`.
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
            let entry = change_record(&*self.records, &key, |found| {
                step(found.map(|(_, entry)| entry), begin, phase)
            });
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

/// # Errors
/// `Unsupported` for a newer format.
fn readable(index: Option<PhaseIndex>) -> Result<PhaseIndex> {
    let index = index.unwrap_or_default();
    if index.format > PhaseIndex::FORMAT {
        Err(Error::unsupported(format!(
            "the index of migrations has format {}, known is {}",
            index.format,
            PhaseIndex::FORMAT
        ))
        .with_hint("use a newer version of esm"))
    } else {
        Ok(index)
    }
}
