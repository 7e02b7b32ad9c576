//! A line of a history.

use esm_core::RollingHash;
use esm_core::event::Position;
use esm_core::id::{EventId, ObjectId};
use serde::{Deserialize, Serialize};

use crate::workload::Batch;

/// A line of a history. Times are nanoseconds of the machine's monotonic clock, which all processes
/// share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "snake_case")]
pub(crate) enum Entry {
    /// An append is about to be sent.
    Invoked {
        at: u64,
        object: ObjectId,
        batch: Batch,
        /// Absent for an append at any position.
        expected: Option<Position>,
    },
    /// An append was answered.
    Answered {
        at: u64,
        number: u64,
        /// How long it took.
        nanoseconds: u64,
        /// How many requests it sent to the storage.
        requests: u64,
        answer: Answer,
    },
    /// An object was read from a position to its end.
    Read { object: ObjectId, seen: Vec<Seen> },
    /// An object was loaded: all its events, and the position to append at.
    Loaded { object: ObjectId, loaded: Loaded },
    /// Something failed that must not.
    Failed { what: String },
}

/// The response to an append, as its application received it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    /// Its first event is stored here.
    Acknowledged(Position),
    /// The object has moved on.
    Conflict,
    /// Nobody knows.
    Ambiguous,
    /// It certainly did not happen, for another reason than a conflict.
    Failed(String),
}

/// What an application made of all events of an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Loaded {
    /// That its next append expects.
    pub(crate) position: Position,
    /// How many events there were.
    pub(crate) events: u64,
    /// Every byte of theirs.
    pub(crate) hash: RollingHash,
}

/// An event that was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seen {
    /// Where.
    pub(crate) position: Position,
    /// Which.
    pub(crate) id: EventId,
}
