//! The state that a journal's records add up to.

use jiff::Timestamp;

use crate::id::{Epoch, HolderId, ObjectId};
use crate::protocol::journal::{JournalEntry, JournalRecord, Outcome, VerifiedCheckpoint};
use crate::protocol::plan::PlannedMigration;
use crate::protocol::statistics::Statistics;
use crate::protocol::status::{MigrationStatus, Step};
use crate::store::BackupHandle;

/// The state that a journal's records add up to.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct JournalState {
    /// The number that the next record gets.
    pub next_number: u64,
    /// The newest epoch.
    pub epoch: Epoch,
    /// The newest holder.
    pub holder: Option<HolderId>,
    /// When the first record was written.
    pub started_at: Option<Timestamp>,
    /// When the newest record was written.
    pub updated_at: Option<Timestamp>,
    /// What is to be done.
    pub plan: Option<Box<PlannedMigration>>,
    /// The batch that is being worked on.
    pub batch: Option<Batch>,
    /// The newest checkpoint of the verification.
    pub checkpoint: Option<Box<VerifiedCheckpoint>>,
    /// Why it stopped; absent while it runs.
    pub stopped: Option<Stopped>,
    /// Why it is being undone.
    pub rolling_back: Option<String>,
    /// Whether it counts as cancelled when it is undone.
    pub cancelling: bool,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// Its counts, at its end or when it last stopped; absent once it works on the next batch.
    pub statistics: Option<Box<Statistics>>,
}

/// A batch of objects that is being worked on.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// The batch's number, from 0.
    pub number: u64,
    /// Its objects.
    pub objects: Vec<ObjectId>,
    /// Their backup.
    pub backup: Option<BackupHandle>,
    /// The counts of the batches before it.
    pub so_far: Box<Statistics>,
}

/// Why a migration stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stopped {
    /// In which step.
    pub step: Step,
    /// Whether a stop was requested.
    pub requested: bool,
    /// Why.
    pub reason: String,
}

/// A record that has no place after the ones before it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IllegalRecord {
    /// The journal is finished.
    #[error("nothing may follow the terminal record")]
    AfterTheEnd,
    /// A record of a holder that another has replaced, or a Claim that is not the next epoch.
    #[error("epoch {found:?} has no place in epoch {current:?}")]
    Epoch {
        /// The record's epoch.
        found: Epoch,
        /// The journal's.
        current: Epoch,
    },
    /// A second plan, or work before the first.
    #[error("a plan comes once, before everything but claims")]
    Plan,
    /// Forward work after the decision to undo.
    #[error("once it is being undone, it can only be undone")]
    Undone,
}

impl JournalState {
    /// Applies one more record. The only place that knows which record may follow which.
    ///
    /// # Errors
    /// [`IllegalRecord`]; the state is as before.
    pub fn apply(&mut self, record: &JournalRecord) -> Result<(), IllegalRecord> {
        self.check(record)?;
        self.next_number += 1;
        self.epoch = record.epoch;
        self.holder = Some(record.holder.clone());
        self.started_at.get_or_insert(record.at);
        self.updated_at = Some(record.at);
        match &record.entry {
            JournalEntry::Claim => self.stopped = None,
            JournalEntry::Planned { plan } => self.plan = Some(plan.clone()),
            JournalEntry::Batch {
                number,
                objects,
                backup,
                so_far,
            } => {
                self.batch = Some(Batch {
                    number: *number,
                    objects: objects.clone(),
                    backup: backup.clone(),
                    so_far: so_far.clone(),
                });
                self.statistics = None;
            }
            JournalEntry::Verified { checkpoint } => self.checkpoint = Some(checkpoint.clone()),
            JournalEntry::Stopped {
                step,
                requested,
                reason,
                statistics,
            } => {
                let (step, requested, reason) = (*step, *requested, reason.clone());
                self.stopped = Some(Stopped {
                    step,
                    requested,
                    reason,
                });
                if let Some(statistics) = statistics {
                    self.statistics = Some(statistics.clone());
                }
            }
            JournalEntry::RollingBack { reason, cancels } => {
                self.rolling_back = Some(reason.clone());
                self.cancelling = *cancels;
            }
            JournalEntry::RollBackRefused { .. } => {
                self.rolling_back = None;
                self.cancelling = false;
            }
            JournalEntry::Finished {
                outcome,
                statistics,
            } => {
                self.outcome = Some(*outcome);
                self.statistics = Some(statistics.clone());
            }
        }
        Ok(())
    }

    fn check(&self, record: &JournalRecord) -> Result<(), IllegalRecord> {
        let entry = &record.entry;
        if self.outcome.is_some() {
            return Err(IllegalRecord::AfterTheEnd);
        }
        let expected = match entry {
            JournalEntry::Claim => Epoch(self.epoch.0 + 1),
            _ => self.epoch,
        };
        if record.epoch != expected || record.epoch == Epoch(0) {
            return Err(IllegalRecord::Epoch {
                found: record.epoch,
                current: self.epoch,
            });
        }
        let planned = self.plan.is_some();
        let in_order = match entry {
            JournalEntry::Claim => true,
            JournalEntry::Planned { .. } => !planned,
            JournalEntry::Finished {
                outcome: Outcome::Cancelled,
                ..
            } => !planned || self.cancelling,
            _ => planned,
        };
        if !in_order {
            return Err(IllegalRecord::Plan);
        }
        let forward = matches!(
            entry,
            JournalEntry::Planned { .. }
                | JournalEntry::Batch { .. }
                | JournalEntry::Verified { .. }
                | JournalEntry::Finished {
                    outcome: Outcome::Completed,
                    ..
                }
        );
        if forward && self.rolling_back.is_some() {
            Err(IllegalRecord::Undone)
        } else {
            Ok(())
        }
    }

    /// What the migration is doing, as far as its journal shows.
    pub fn status(&self) -> MigrationStatus {
        match (self.outcome, &self.rolling_back, &self.stopped) {
            (Some(Outcome::Completed), _, _) => MigrationStatus::Completed,
            (Some(Outcome::RolledBack), _, _) => MigrationStatus::RolledBack,
            (Some(Outcome::Abandoned), _, _) => MigrationStatus::Abandoned,
            (Some(Outcome::Cancelled), _, _) => MigrationStatus::Cancelled,
            (None, Some(_), _) => MigrationStatus::RollingBack,
            (None, None, Some(stopped)) if stopped.requested => MigrationStatus::Paused,
            (None, None, Some(_)) => MigrationStatus::Failed,
            (None, None, None) if self.plan.is_none() => MigrationStatus::Pending,
            (None, None, None) => MigrationStatus::InProgress,
        }
    }
}
