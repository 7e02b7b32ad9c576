//! Published phases of objects, and the next entry on the way to another: pure.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::phase::{self, MigrationPhase, PhaseSignal};
use crate::error::{Error, ErrorKind, Result};
use crate::event::Revision;
use crate::id::{MigrationId, ObjectId, StreamRef};

/// The phase of one object in one migration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoutingEntry {
    /// The migration.
    pub migration: MigrationId,
    /// Depth of the source in the object's chain of Closes. An entry whose generation is not the
    /// active stream's is out of date and ignored ([R20](crate::protocol#r20)).
    pub generation: u64,
    /// The source of the attempt.
    pub source: StreamRef,
    /// The target of the attempt.
    pub target: StreamRef,
    /// The phase.
    pub phase: MigrationPhase,
}

/// The active migrations that publish phases, and the objects for which they do
/// ([R21](crate::protocol#r21)).
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

    /// Adds objects to a migration's. Returns whether any was new.
    pub(crate) fn enlist(&mut self, migration: MigrationId, objects: &[ObjectId]) -> bool {
        if objects.is_empty() {
            return false;
        }
        let enlisted = self.migrations.entry(migration).or_default();
        let before = enlisted.len();
        enlisted.extend(objects.iter().cloned());
        enlisted.len() > before
    }

    /// Removes objects from a migration's. Returns whether any was there.
    pub(crate) fn delist(&mut self, migration: MigrationId, objects: &[ObjectId]) -> bool {
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

/// The next entry to write on the way from the present one to a phase of the attempt that `begin`
/// describes. Nothing when that phase is reached.
///
/// # Errors
/// As [`RoutingTable::advance_to`](crate::router::RoutingTable::advance_to), but for those of the
/// records.
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

/// Whether phases are published to applications. Nothing rests on it: phases are hints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PublishPhases {
    /// For streams of at least [`PublishPhases::LARGE`] events: smaller ones are migrated before
    /// an application would hear of it.
    #[default]
    Large,
    /// For all.
    Always,
    /// For none.
    Never,
}

impl PublishPhases {
    /// Number of events from which on a stream is large.
    pub const LARGE: u64 = 10_000;

    pub(crate) fn wanted(self, events: Revision) -> bool {
        match self {
            Self::Large => events.0 >= Self::LARGE,
            Self::Always => true,
            Self::Never => false,
        }
    }
}
