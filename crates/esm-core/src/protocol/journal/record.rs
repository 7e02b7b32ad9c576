//! The records of a journal.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::RollingHash;
use crate::event::Revision;
use crate::id::{CommitId, Epoch, HolderId, ObjectId, StreamRef};
use crate::protocol::plan::PlannedMigration;
use crate::protocol::statistics::Statistics;
use crate::protocol::status::Step;
use crate::store::BackupHandle;
use crate::transform::EventCounts;

/// One record of a journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JournalRecord {
    /// Version of the format, [`JournalRecord::FORMAT`]. A reader refuses a newer one.
    pub format: u32,
    /// Lets the writer recognise its own record when the response was lost.
    pub commit: CommitId,
    /// The epoch of the holder that wrote it.
    pub epoch: Epoch,
    /// The holder that wrote it.
    pub holder: HolderId,
    /// When, by the holder's clock.
    pub at: Timestamp,
    /// What is recorded.
    #[serde(flatten)]
    pub entry: JournalEntry,
}

impl JournalRecord {
    /// The format that this version writes.
    pub const FORMAT: u32 = 1;
}

/// What a journal records. What the streams show needs no record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
pub enum JournalEntry {
    /// A new holder has taken over, with the next epoch.
    Claim,
    /// What is to be done.
    Planned {
        /// The plan.
        plan: Box<PlannedMigration>,
    },
    /// Work on these objects begins; all objects of earlier batches are done or counted as failed.
    Batch {
        /// The batch's number, from 0.
        number: u64,
        /// Its objects.
        objects: Vec<ObjectId>,
        /// Their backup, made and verified.
        backup: Option<BackupHandle>,
        /// The counts of the batches before it.
        so_far: Box<Statistics>,
    },
    /// A long stream was verified up to here; a later holder continues from it.
    Verified {
        /// How far.
        checkpoint: Box<VerifiedCheckpoint>,
    },
    /// It stopped, and can be resumed.
    Stopped {
        /// In which step.
        step: Step,
        /// Whether a stop was requested; otherwise it was an error.
        requested: bool,
        /// Why.
        reason: String,
        /// Its counts up to here, without those of an undo.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        statistics: Option<Box<Statistics>>,
    },
    /// It is to be undone: nothing else until that has ended or was refused.
    RollingBack {
        /// Why.
        reason: String,
        /// Whether it counts as cancelled when it is undone.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        cancels: bool,
    },
    /// The undo was refused, because the pivot was passed: the migration can only be completed.
    RollBackRefused {
        /// Why.
        reason: String,
    },
    /// It is over.
    Finished {
        /// How it ended.
        outcome: Outcome,
        /// Its counts.
        statistics: Box<Statistics>,
    },
}

/// How far a long stream was verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifiedCheckpoint {
    /// The source.
    pub source: StreamRef,
    /// The target.
    pub target: StreamRef,
    /// The first source cell that is not verified.
    pub source_seq: u64,
    /// Number of source events that are verified.
    pub source_events: Revision,
    /// Number of target events that are verified.
    pub target_events: Revision,
    /// The hash over those target events, which equals the one over the transformed source.
    pub hash: RollingHash,
    /// What became of those source events, and their sizes.
    #[serde(flatten)]
    pub counts: EventCounts,
}

impl VerifiedCheckpoint {
    /// Whether it says how far this target was compared with this source.
    pub(crate) fn is_of(&self, source: &StreamRef, target: &StreamRef) -> bool {
        self.source == *source && self.target == *target
    }
}

/// How a migration ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Everything is done.
    Completed,
    /// It was undone; the sources are open and active.
    RolledBack,
    /// It was undone as far as the store permits: the sources are open and active, and targets are
    /// kept permanently.
    Abandoned,
    /// It was ended on request, before anything was planned or after all of it was undone.
    Cancelled,
}
