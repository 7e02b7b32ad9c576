//! The journal: the durable record of a migration, appended by compare-and-swap.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

use super::options::PlannedMigration;
use super::report::Statistics;
use super::status::{MigrationStatus, Step};
use crate::clock::Environment;
use crate::error::{Error, ErrorKind, Result};
use crate::event::Revision;
use crate::id::{CommitId, Epoch, HolderId, MigrationId, ObjectId, StreamRef};
use crate::store::{BackupHandle, RecordKey, Records, RecordsExt as _};
use crate::transform::Ledger;
use crate::verify::RollingHash;

/// One record of a journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JournalRecord {
    /// Version of the format, [`JournalRecord::FORMAT`]. A reader refuses a newer one.
    pub format: u32,
    /// Tells the writer its own record when the answer was lost.
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
        /// What the batches before it came to.
        so_far: Box<Statistics>,
    },
    /// A long stream was verified up to here; a later holder goes on from it.
    Verified {
        /// How far.
        checkpoint: Box<VerifiedCheckpoint>,
    },
    /// It stopped, and can be resumed.
    Stopped {
        /// In which step.
        step: Step,
        /// Whether somebody asked for it; else it was an error.
        requested: bool,
        /// Why.
        reason: String,
    },
    /// It is to be undone; from here on nothing else.
    RollingBack {
        /// Why.
        reason: String,
    },
    /// The undo was refused, because the pivot was behind: from here on only forward.
    RollBackRefused {
        /// Why.
        reason: String,
    },
    /// It is over.
    Finished {
        /// How it ended.
        outcome: Outcome,
        /// What it came to.
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
    /// What became of the source events.
    pub ledger: Ledger,
    /// Bytes of those source events, uncompressed.
    pub source_bytes: u64,
    /// Bytes of those target events, uncompressed.
    pub target_bytes: u64,
}

/// How a migration ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Everything is done.
    Completed,
    /// It was undone; the sources are open and active.
    RolledBack,
    /// It was ended before anything was planned.
    Cancelled,
}

/// What the records of a journal come to.
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
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// What it came to, at its end.
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
    /// What the batches before it came to.
    pub so_far: Box<Statistics>,
}

/// Why a migration stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stopped {
    /// In which step.
    pub step: Step,
    /// Whether somebody asked for it.
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
    /// The state after one more record: pure, and the only place that knows which record may
    /// follow which.
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
            }
            JournalEntry::Verified { checkpoint } => self.checkpoint = Some(checkpoint.clone()),
            JournalEntry::Stopped {
                step,
                requested,
                reason,
            } => {
                let (step, requested, reason) = (*step, *requested, reason.clone());
                self.stopped = Some(Stopped {
                    step,
                    requested,
                    reason,
                });
            }
            JournalEntry::RollingBack { reason } => self.rolling_back = Some(reason.clone()),
            JournalEntry::RollBackRefused { reason } => {
                self.rolling_back = None;
                let (step, requested) = (Step::RollBack, false);
                self.stopped = Some(Stopped {
                    step,
                    requested,
                    reason: reason.clone(),
                });
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
            } => !planned,
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
        match forward && self.rolling_back.is_some() {
            true => Err(IllegalRecord::Undone),
            false => Ok(()),
        }
    }

    /// What the migration is doing, as far as its journal tells.
    pub fn status(&self) -> MigrationStatus {
        match (self.outcome, &self.rolling_back, &self.stopped) {
            (Some(Outcome::Completed), _, _) => MigrationStatus::Completed,
            (Some(Outcome::RolledBack), _, _) => MigrationStatus::RolledBack,
            (Some(Outcome::Cancelled), _, _) => MigrationStatus::Cancelled,
            (None, Some(_), _) => MigrationStatus::RollingBack,
            (None, None, Some(stopped)) if stopped.requested => MigrationStatus::Paused,
            (None, None, Some(_)) => MigrationStatus::Failed,
            (None, None, None) if self.plan.is_none() => MigrationStatus::Pending,
            (None, None, None) => MigrationStatus::InProgress,
        }
    }
}

/// A journal that this process reads, and, once it has claimed it, appends to.
#[derive(Debug)]
pub(crate) struct Journal {
    records: Arc<dyn Records>,
    environment: Environment,
    key: RecordKey,
    migration: MigrationId,
    holder: HolderId,
    state: JournalState,
}

impl Journal {
    /// Reads a journal; an empty one is one that was never begun.
    pub(crate) async fn open(
        records: Arc<dyn Records>,
        environment: Environment,
        migration: MigrationId,
        holder: HolderId,
    ) -> Result<Self> {
        let key = RecordKey::Journal(migration);
        let state = JournalState::default();
        let mut journal = Self {
            records,
            environment,
            key,
            migration,
            holder,
            state,
        };
        journal.catch_up().await?;
        Ok(journal)
    }

    pub(crate) fn state(&self) -> &JournalState {
        &self.state
    }

    /// Takes over: everything that an earlier holder still wants to append is refused from here.
    pub(crate) async fn claim(&mut self) -> Result<()> {
        loop {
            let epoch = Epoch(self.state.epoch.0 + 1);
            match self.put(epoch, JournalEntry::Claim).await? {
                true => return Ok(()),
                // somebody else appended meanwhile: claim above that
                false if self.state.outcome.is_some() => return Err(self.fenced()),
                false => {}
            }
        }
    }

    /// Appends in the claimed epoch.
    ///
    /// # Errors
    /// `Fenced` when another has claimed the journal meanwhile.
    pub(crate) async fn append(&mut self, entry: JournalEntry) -> Result<()> {
        let epoch = self.state.epoch;
        match self.put(epoch, entry).await? {
            true => Ok(()),
            false => Err(self.fenced()),
        }
    }

    fn fenced(&self) -> Error {
        let holder = self
            .state
            .holder
            .as_ref()
            .map_or("nobody", HolderId::as_str);
        let epoch = self.state.epoch.0;
        let message = match self.state.outcome {
            Some(_) => format!("the migration has ended: {}", self.migration),
            None => format!(
                "another has taken over migration {}: {holder}, epoch {epoch}",
                self.migration
            ),
        };
        Error::new(ErrorKind::Fenced, message)
    }

    /// Puts the next record. `false`: another's stands there, and the state now includes it.
    async fn put(&mut self, epoch: Epoch, entry: JournalEntry) -> Result<bool> {
        const TRIES: usize = 8;
        let record = JournalRecord {
            format: JournalRecord::FORMAT,
            commit: self.environment.commit_id(),
            epoch,
            holder: self.holder.clone(),
            at: self.environment.clock.now(),
            entry,
        };
        let mut next = self.state.clone();
        next.apply(&record).map_err(|illegal| {
            Error::new(ErrorKind::Conflict { actual: None }, illegal.to_string())
                .context(format!("journal of migration {}", self.migration))
        })?;
        let number = self.state.next_number;
        let mut failure = None;
        for _ in 0..TRIES {
            match self.records.put_as(&self.key, number, &record).await {
                Ok(()) => {
                    self.state = next;
                    return Ok(true);
                }
                Err(e) if matches!(e.kind(), ErrorKind::Conflict { .. } | ErrorKind::Ambiguous) => {
                    failure = Some(e);
                }
                Err(e) => return Err(e),
            }
            // settle: whose record stands there?
            match self.read(number).await? {
                Some(found) if found.commit == record.commit => {
                    self.state = next;
                    return Ok(true);
                }
                Some(_) => {
                    self.catch_up().await?;
                    return Ok(false);
                }
                None => {}
            }
        }
        Err(failure.unwrap_or_else(|| Error::new(ErrorKind::Unavailable, "journal not written")))
    }

    async fn catch_up(&mut self) -> Result<()> {
        while let Some(record) = self.read(self.state.next_number).await? {
            let number = self.state.next_number;
            self.state.apply(&record).map_err(|illegal| {
                Error::corrupt(format!(
                    "journal of migration {}, record {number}: {illegal}",
                    self.migration
                ))
            })?;
        }
        Ok(())
    }

    async fn read(&self, number: u64) -> Result<Option<JournalRecord>> {
        let Some(record) = self.records.get(&self.key, number).await? else {
            return Ok(None);
        };
        check_format(&record.body, self.migration, number)?;
        Ok(Some(crate::store::decode(&self.key, &record)?))
    }
}

fn check_format(body: &[u8], migration: MigrationId, number: u64) -> Result<()> {
    #[derive(Deserialize)]
    struct Format {
        format: u32,
    }
    match serde_json::from_slice(body) {
        Ok(Format { format }) if format > JournalRecord::FORMAT => Err(Error::corrupt(format!(
            "journal of migration {migration}, record {number} has format {format}, this version \
             reads up to {}",
            JournalRecord::FORMAT
        ))
        .with_hint("use a newer version of esm")),
        // a record that is no JSON is reported when it is decoded
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
