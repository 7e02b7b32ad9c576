//! What callers ask for, and what they get back.

use serde::Serialize;

use crate::id::{BackupId, ObjectId, StreamRef};

/// Where the events of a backup go.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RestoreTarget {
    /// Into a new object, which must not exist. It becomes visible at once with all its events.
    NewObject(ObjectId),
    /// Into a fresh stream of the same object, which must exist. The stream that was active is
    /// closed and stays readable; what was appended to it since the backup is not in the fresh one.
    FreshStream,
}

/// How a backup is restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestoreOptions {
    pub(super) again: bool,
    pub(super) cell_events: usize,
    pub(super) cell_bytes: u64,
}

impl Default for RestoreOptions {
    fn default() -> Self {
        Self {
            again: false,
            cell_events: 512,
            cell_bytes: 1 << 20,
        }
    }
}

impl RestoreOptions {
    /// The defaults: once, in cells of at most 512 events and 1 MiB.
    pub fn new() -> Self {
        Self::default()
    }

    /// Restores into a fresh stream even if this backup has replaced one of the object's streams
    /// before. By default that counts as done, so that a restore can be repeated until it succeeds.
    #[must_use]
    pub fn again(mut self) -> Self {
        self.again = true;
        self
    }

    /// Sets the most events and bytes in a cell of the restored stream. An event that is larger has a
    /// cell of its own.
    #[must_use]
    pub fn cells(mut self, events: usize, bytes: u64) -> Self {
        (self.cell_events, self.cell_bytes) = (events, bytes);
        self
    }
}

/// What was restored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Restored {
    /// The backup.
    pub backup: BackupId,
    /// The object that was backed up.
    pub source: ObjectId,
    /// The object that has the events now.
    pub object: ObjectId,
    /// The stream that holds them.
    pub stream: StreamRef,
    /// Number of restored events: all of the section.
    pub events: u64,
    /// Whether another call had cut over already, so that at most the document was left to do.
    pub already: bool,
    /// The stream that it replaced; `None` for a new object.
    pub replaced: Option<ReplacedStream>,
}

/// A stream that a restored one replaced. It is closed and stays readable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ReplacedStream {
    /// The stream.
    pub stream: StreamRef,
    /// Number of its events: all that were ever acknowledged.
    pub events: u64,
    /// How many of them came after the backup and are therefore not in the restored stream. `None`
    /// if the backup is of another stream, whose positions cannot be compared.
    pub left_behind: Option<u64>,
    /// How many of them were appended while this call was restoring. `None` if another call made
    /// the cutover.
    pub appended_meanwhile: Option<u64>,
}

/// What was restored of a whole backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct RestoredAll {
    /// Restored objects, including those that an earlier call had restored.
    pub objects: u64,
    /// Of them, those that an earlier call had restored.
    pub already: u64,
    /// Their events.
    pub events: u64,
    /// Events of closed streams that came after the backup, as far as that is known.
    pub left_behind: u64,
}

impl RestoredAll {
    pub(super) fn add(&mut self, restored: &Restored) {
        self.objects += 1;
        self.already += u64::from(restored.already);
        self.events += restored.events;
        let replaced = restored.replaced.as_ref();
        self.left_behind += replaced.and_then(|r| r.left_behind).unwrap_or(0);
    }
}
