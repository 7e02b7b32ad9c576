//! What callers ask for, and what they get back.

use jiff::Timestamp;
use serde::Serialize;

use crate::error::{Error, ErrorKind};
use crate::event::Revision;
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

/// Up to where an object's events are restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RestoreUntil {
    /// Up to the event of this revision, which is restored too.
    Revision(Revision),
    /// Those before the first event whose own time is later than this. An event behind it is not
    /// restored, whatever its time: what is restored is always a beginning of the stream.
    Time(Timestamp),
}

/// How a backup is restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestoreOptions {
    pub(super) again: bool,
    pub(super) keep_going: bool,
    pub(super) until: Option<RestoreUntil>,
    pub(super) cell_events: usize,
    pub(super) cell_bytes: u64,
}

impl Default for RestoreOptions {
    fn default() -> Self {
        Self {
            again: false,
            keep_going: false,
            until: None,
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

    /// Continues with the other objects if one cannot be restored: because it exists or does not, is
    /// deleted or too large, or another restore or a writer won. Whatever else goes wrong ends the
    /// restore. By default the first failure does.
    #[must_use]
    pub fn keep_going(mut self) -> Self {
        self.keep_going = true;
        self
    }

    /// Restores only the beginning of each stream. Each such point is a restore of its own: one that
    /// was interrupted is continued by one with the same point.
    ///
    /// Before anything is written, `NotFound` refuses an object without an event until then, or one that
    /// does not reach the revision; `Invalid` one with an event that has no time to compare.
    #[must_use]
    pub fn until(mut self, until: RestoreUntil) -> Self {
        self.until = Some(until);
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
    /// Number of restored events: all of the section, or those [until](RestoreOptions::until) a point.
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
    /// How many of them came after the backup, or after the point until which it was restored, and are
    /// therefore not in the restored stream. `None` if the backup is of another stream, whose positions
    /// cannot be compared.
    pub left_behind: Option<u64>,
    /// How many of them were appended while this call was restoring. `None` if another call made
    /// the cutover.
    pub appended_meanwhile: Option<u64>,
}

/// An object that was not restored.
#[derive(Debug)]
#[non_exhaustive]
pub struct RestoreFailure {
    /// The object, as the backup calls it.
    pub object: ObjectId,
    /// Why not.
    pub error: Error,
}

/// What was restored of a whole backup.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct RestoredAll {
    /// Restored objects, including those that an earlier call had restored.
    pub objects: u64,
    /// Of them, those that an earlier call had restored.
    pub already: u64,
    /// Their events.
    pub events: u64,
    /// Events of closed streams that came after what was restored, as far as that is known.
    pub left_behind: u64,
    /// Objects that were not restored, where the restore [keeps going](RestoreOptions::keep_going).
    pub failed: u64,
    /// The first of them.
    pub failures: Vec<RestoreFailure>,
}

impl RestoredAll {
    /// Failures that are described; the count is complete.
    const DESCRIBED: usize = 100;

    pub(super) fn fail(&mut self, object: ObjectId, error: Error) {
        self.failed += 1;
        if self.failures.len() < Self::DESCRIBED {
            self.failures.push(RestoreFailure { object, error });
        }
    }

    pub(super) fn add(&mut self, restored: &Restored) {
        self.objects += 1;
        self.already += u64::from(restored.already);
        self.events += restored.events;
        let replaced = restored.replaced.as_ref();
        self.left_behind += replaced.and_then(|r| r.left_behind).unwrap_or(0);
    }
}

/// Whether an error concerns one object alone, so that others can be restored. A backup or a store that
/// is damaged or does not respond concerns all.
pub(super) fn concerns_one(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::AlreadyExists
            | ErrorKind::NotFound
            | ErrorKind::Deleted
            | ErrorKind::UnknownStore
            | ErrorKind::Fenced
            | ErrorKind::Stuck
            | ErrorKind::TooLarge
    )
}
