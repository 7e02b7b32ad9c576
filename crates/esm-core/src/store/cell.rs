//! Cells: the atomic writes that a stream consists of.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::event::{Event, Revision, Schema};
use crate::id::{CommitId, Fingerprint, MigrationId, StreamId, StreamRef};

/// One atomic write to a stream: its header, and its events if it is a data cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    /// What the cell says of itself.
    pub header: CellHeader,
    /// The events of a data cell, in order; empty in every other kind. As many as
    /// [`CellHeader::count`], but for a tombstone, whose events are gone.
    pub events: Vec<CellEvent>,
}

/// An event in a cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CellEvent {
    /// The event.
    pub event: Event,
    /// In a cell that a migration copied: the revision of the source event that it stems from.
    pub source_revision: Option<Revision>,
}

impl From<Event> for CellEvent {
    fn from(event: Event) -> Self {
        Self {
            event,
            source_revision: None,
        }
    }
}

/// What a cell says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CellHeader {
    /// Number of the cell in its stream, from 0 without gaps.
    pub seq: u64,
    /// Number of events in the cells before it.
    pub first_revision: Revision,
    /// Number of events in it; 0 in control cells.
    pub count: u64,
    /// Who wrote it: drawn by the writer for this one write.
    pub commit: CommitId,
    /// The commit id of the cell before it; absent in cell 0.
    pub previous: Option<CommitId>,
    /// The number of the last control cell before it, so that a scan that is resumed can follow
    /// the chain of control cells instead of starting over ([R4](crate::protocol#r4)).
    pub last_control: Option<u64>,
    /// Data, Close, Fence or tombstone.
    pub kind: CellKind,
}

impl CellHeader {
    /// Number of events in the stream up to and including this cell.
    pub fn next_revision(&self) -> Revision {
        self.first_revision.plus(self.count)
    }

    /// The last control cell up to and including this one.
    pub fn control_so_far(&self) -> Option<u64> {
        match self.kind {
            CellKind::Close(_) | CellKind::Fence(_) => Some(self.seq),
            CellKind::Data { .. } | CellKind::Tombstone => self.last_control,
        }
    }

    /// Where the stream comes from, if this is the first cell of a migration's target.
    pub fn origin(&self) -> Option<&Origin> {
        match &self.kind {
            CellKind::Data { origin, .. } => origin.as_ref(),
            _ => None,
        }
    }

    /// The cursor, if a copier wrote this cell.
    pub fn cursor(&self) -> Option<Revision> {
        match &self.kind {
            CellKind::Data { cursor, .. } => *cursor,
            _ => None,
        }
    }
}

/// What a cell is. Every store must handle all of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CellKind {
    /// Events, possibly none.
    Data {
        /// In the first cell of a migration's target: where it comes from.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        origin: Option<Origin>,
        /// In a cell that a copier wrote: the number of source events that this stream is complete
        /// for, with this cell. Absent where an application wrote.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cursor: Option<Revision>,
    },
    /// Nothing follows: the stream continues elsewhere.
    Close(Close),
    /// An attempt at this source was abandoned: its target can never be closed to.
    Fence(Fence),
    /// A data cell whose events were deleted on purpose; the header is as it was.
    Tombstone,
}

/// The origin of a migration's target, stored in its first cell ([R2](crate::protocol#r2)).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The source stream.
    pub source: StreamRef,
    /// The migration that writes it.
    pub migration: MigrationId,
    /// Which attempt of that migration: the number of its Fences in the source.
    pub attempt: u64,
    /// The transformation that its events went through.
    pub fingerprint: Fingerprint,
    /// The schemas that the transformation changes or drops, and which must therefore not be
    /// appended here as they are ([R11](crate::protocol#r11)).
    pub retired: BTreeSet<Schema>,
    /// Of the retired schemas, those that are appended as they are all the same, by the
    /// [policy](OnRetired) of the plan. A reader that does not know this field refuses them.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub accepted: BTreeSet<Schema>,
    /// In the target of a reverse migration: what it restores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restores: Option<Box<Restores>>,
}

impl Origin {
    /// How the fingerprint of a restored stream begins; the backup's id follows.
    pub(crate) const RESTORED: &str = "restore:";

    /// The id of the backup that the stream was restored from, if it was.
    pub(crate) fn restored_from(&self) -> Option<&str> {
        self.fingerprint.as_str().strip_prefix(Self::RESTORED)
    }

    /// The retired schemas whose appends are refused, where the application has not registered the
    /// transformation.
    pub fn refused(&self) -> impl Iterator<Item = &Schema> {
        self.retired.difference(&self.accepted)
    }

    /// The transformation that an event of a retired schema has to go through to be appended here
    /// ([R11](crate::protocol#r11)): the one that the source's events went through.
    pub fn appends_through(&self) -> &Fingerprint {
        match &self.restores {
            Some(restores) => &restores.down,
            None => &self.fingerprint,
        }
    }
}

/// What the target of a reverse migration restores ([R18](crate::protocol#r18)): it begins with the
/// originals as they were, and continues with what was appended after the migration that is
/// reversed.
///
/// Its cursors and source revisions count both: the first `events` are the originals', the next is
/// the source's event at revision `source_from`, and so on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restores {
    /// The migration that is reversed.
    pub migration: MigrationId,
    /// S: the stream that it closed, with the originals.
    pub originals: StreamRef,
    /// N: number of the originals.
    pub events: Revision,
    /// M: number of the source's first events, which stem from the originals.
    pub source_from: Revision,
    /// The transformation that the source's other events went through.
    pub down: Fingerprint,
}

impl Restores {
    /// How many events a target is complete for that has all of a source with this many; nothing
    /// when the source has fewer than M.
    pub fn restored(&self, source_events: Revision) -> Option<Revision> {
        let since = source_events.0.checked_sub(self.source_from.0)?;
        Some(self.events.plus(since))
    }
}

/// What becomes of an append of a retired schema where the application has not registered the
/// transformation ([R11](crate::protocol#r11)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnRetired {
    /// It is refused, naming the schema and the migration.
    #[default]
    Refuse,
    /// It is stored as it is, and counted.
    AcceptUnchanged,
}

/// The last cell of a stream: names the stream that continues it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Close {
    /// The stream that continues it; absent when the object was deleted.
    pub target: Option<StreamRef>,
    /// N: number of events that the closed stream has.
    pub events: Revision,
    /// M: number of events that the target had at that time.
    pub target_events: Revision,
    /// The migration that closed it.
    pub migration: MigrationId,
    /// Whether the position (S, N) means the same as (T, M). Not so after a restore
    /// ([R19](crate::protocol#r19)).
    pub continues: bool,
    /// The last cell that the target had at that time: where the search for its end begins. Earlier
    /// versions do not say it, and ignore it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_last: Option<LastCell>,
}

/// The last cell of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastCell {
    /// Its number.
    pub seq: u64,
    /// Its commit id.
    pub commit: CommitId,
    /// The last control cell up to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control: Option<u64>,
}

impl From<&CellHeader> for LastCell {
    fn from(header: &CellHeader) -> Self {
        Self {
            seq: header.seq,
            commit: header.commit,
            control: header.control_so_far(),
        }
    }
}

/// Forbids a migration to close the source to its target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fence {
    /// The target that is fenced off.
    pub target: StreamId,
    /// The migration whose attempt it was.
    pub migration: MigrationId,
}
