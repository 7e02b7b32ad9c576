//! Reads and appends journals.

use std::sync::Arc;

use futures::future;
use serde::Deserialize;

use crate::clock::Environment;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{Epoch, HolderId, MigrationId};
use crate::protocol::journal::{JournalEntry, JournalRecord, JournalState};
use crate::store::{RecordKey, Records, RecordsExt as _};

/// Records that are read at once, once there are some: as many requests as a lane has in flight.
const AHEAD: u64 = 4;

/// A journal that this process reads and, after claiming it, appends to.
#[derive(Debug)]
pub(crate) struct Journal {
    records: Arc<dyn Records>,
    environment: Environment,
    key: RecordKey,
    migration: MigrationId,
    holder: HolderId,
    state: JournalState,
    /// The epoch that this process has claimed; the epoch of `state` may be a later one.
    claimed: Option<Epoch>,
}

/// Detects whether another holder has taken a journal over, without blocking appends.
#[derive(Debug)]
pub(crate) struct JournalWatch {
    records: Arc<dyn Records>,
    key: RecordKey,
    migration: MigrationId,
    next_number: u64,
    claimed: Option<Epoch>,
}

impl JournalWatch {
    /// Reads the records appended since.
    ///
    /// # Errors
    /// `Fenced` when another holder has claimed the journal; those of the records.
    pub(crate) async fn ensure_ours(&self) -> Result<()> {
        let mut number = self.next_number;
        while let Some(record) = read(&self.records, &self.key, self.migration, number).await? {
            if Some(record.epoch) != self.claimed {
                return Err(taken_over(self.migration, &record.holder, record.epoch));
            }
            number += 1;
        }
        Ok(())
    }
}

impl Journal {
    /// Reads a journal; the journal of an unknown migration is empty.
    ///
    /// # Errors
    /// `Corrupt` for a damaged journal, with a hint how to continue without it; those of the
    /// records.
    pub(crate) async fn open(
        records: Arc<dyn Records>,
        environment: Environment,
        migration: MigrationId,
        holder: HolderId,
    ) -> Result<Self> {
        let (journal, damage) = Self::open_damaged(records, environment, migration, holder).await?;
        damage.map_or(Ok(journal), Err)
    }

    /// As [`open`](Self::open); reads a damaged journal up to the damage, which is returned too. For
    /// observers: nothing may be appended to such a journal.
    ///
    /// # Errors
    /// Those of the records.
    pub(crate) async fn open_damaged(
        records: Arc<dyn Records>,
        environment: Environment,
        migration: MigrationId,
        holder: HolderId,
    ) -> Result<(Self, Option<Error>)> {
        let key = RecordKey::Journal(migration);
        let state = JournalState::default();
        let mut journal = Self {
            records,
            environment,
            key,
            migration,
            holder,
            state,
            claimed: None,
        };
        let damage = journal.read_on().await?;
        Ok((journal, damage))
    }

    /// Reads the records appended since, up to the damage of a damaged journal, which is returned.
    /// Costs two requests, sent at once, if there are none.
    ///
    /// # Errors
    /// Those of the records.
    pub(crate) async fn read_on(&mut self) -> Result<Option<Error>> {
        match self.read_to_end().await {
            Ok(()) => Ok(None),
            Err(e) if *e.kind() == ErrorKind::Corrupt => Ok(Some(with_way_out(e))),
            Err(e) => Err(e),
        }
    }

    /// Reads on, several records at once, until two in a row are absent: if only one is, a record was
    /// lost.
    ///
    /// # Errors
    /// `Corrupt`, with all records before the damage read; those of the records.
    async fn read_to_end(&mut self) -> Result<()> {
        let mut width = 2;
        loop {
            let next = self.state.next_number;
            let found = future::join_all((next..next + width).map(|number| self.read(number)));
            let mut found = found.await.into_iter();
            let mut is_full = true;
            for record in found.by_ref() {
                let Some(record) = record? else {
                    is_full = false;
                    break;
                };
                self.apply(&record)?;
            }
            if is_full {
                width = AHEAD;
                continue;
            }
            width = 2;
            match found.next() {
                // the absent one was the last that was asked for
                None => {}
                Some(Ok(None)) => return Ok(()),
                Some(Err(error)) if *error.kind() != ErrorKind::Corrupt => return Err(error),
                // sound or not, there is a record
                Some(_) => self.refuse_gap().await?,
            }
        }
    }

    /// Refuses a journal that has a record behind its end: a record between them was lost, unless
    /// a concurrent holder has written both since the first was read.
    ///
    /// # Errors
    /// `Corrupt`; those of the records.
    async fn refuse_gap(&self) -> Result<()> {
        let missing = self.state.next_number;
        if self.records.get(&self.key, missing).await?.is_some() {
            return Ok(());
        }
        Err(Error::corrupt(format!(
            "journal of migration {}: record {missing} is missing, though there is record {}",
            self.migration,
            missing + 1
        )))
    }

    /// Whether the first record that was not read has a newer format.
    ///
    /// # Errors
    /// Those of the records, except for damage.
    pub(crate) async fn is_newer(&self) -> Result<bool> {
        let number = self.state.next_number;
        match self.records.get(&self.key, number).await {
            Ok(record) => Ok(record
                .is_some_and(|record| check_format(&record.body, self.migration, number).is_err())),
            Err(error) if *error.kind() == ErrorKind::Corrupt => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn state(&self) -> &JournalState {
        &self.state
    }

    /// Claims the next epoch: from then on appends of earlier holders fail.
    pub(crate) async fn claim(&mut self) -> Result<()> {
        loop {
            let epoch = Epoch(self.state.epoch.0 + 1);
            if self.put(epoch, JournalEntry::Claim).await? {
                self.claimed = Some(epoch);
                return Ok(());
            }
            // a concurrent append won: claim above it, unless it ended the migration
            if self.state.outcome.is_some() {
                return Err(self.fenced());
            }
        }
    }

    /// Appends in the claimed epoch only, even after another epoch was read.
    ///
    /// # Errors
    /// `Fenced` when another holder has claimed the journal, or when the migration has ended.
    pub(crate) async fn append(&mut self, entry: JournalEntry) -> Result<()> {
        loop {
            let mine = self.claimed.filter(|mine| *mine == self.state.epoch);
            let Some(mine) = mine.filter(|_| self.state.outcome.is_none()) else {
                return Err(self.fenced());
            };
            if self.put(mine, entry.clone()).await? {
                return Ok(());
            }
            // a record of this epoch is this process's own after an ambiguous append: retry after
            // it
        }
    }

    /// Returns a watch that detects whether this process still holds the journal.
    pub(crate) fn watch(&self) -> JournalWatch {
        JournalWatch {
            records: Arc::clone(&self.records),
            key: self.key.clone(),
            migration: self.migration,
            next_number: self.state.next_number,
            claimed: self.claimed,
        }
    }

    fn fenced(&self) -> Error {
        match (&self.state.outcome, &self.state.holder) {
            (None, Some(holder)) => taken_over(self.migration, holder, self.state.epoch),
            _ => Error::new(
                ErrorKind::Fenced,
                format!("the migration has ended: {}", self.migration),
            ),
        }
    }

    /// Puts the next record. Returns `false` if another record has its number; the state then
    /// includes that one.
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
            // settle the outcome by reading the record back
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
            self.apply(&record)?;
        }
        Ok(())
    }

    fn apply(&mut self, record: &JournalRecord) -> Result<()> {
        let number = self.state.next_number;
        self.state.apply(record).map_err(|illegal| {
            Error::corrupt(format!(
                "journal of migration {}, record {number}: {illegal}",
                self.migration
            ))
        })
    }

    async fn read(&self, number: u64) -> Result<Option<JournalRecord>> {
        read(&self.records, &self.key, self.migration, number).await
    }
}

async fn read(
    records: &Arc<dyn Records>,
    key: &RecordKey,
    migration: MigrationId,
    number: u64,
) -> Result<Option<JournalRecord>> {
    let Some(record) = records.get(key, number).await? else {
        return Ok(None);
    };
    check_format(&record.body, migration, number)?;
    Ok(Some(crate::store::decode(key, &record)?))
}

/// Names what helps where a journal is damaged: the streams are all that another migration needs.
fn with_way_out(error: Error) -> Error {
    match error.hint() {
        Some(_) => error,
        None => error.with_hint(
            "this migration can be neither resumed nor rolled back; the streams are not affected: \
             begin a new migration of the same objects, which takes over from the streams",
        ),
    }
}

fn taken_over(migration: MigrationId, holder: &HolderId, epoch: Epoch) -> Error {
    let epoch = epoch.0;
    let message =
        format!("another holder has taken over migration {migration}: {holder}, epoch {epoch}");
    Error::new(ErrorKind::Fenced, message)
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
        // invalid JSON is reported by the decoder
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_a_newer_version_is_not_read_as_if_it_were_understood() {
        let migration = MigrationId::from_uuid(uuid::Uuid::nil());
        let check = |format: u32| {
            let body = format!(r#"{{"format":{format}}}"#);
            check_format(body.as_bytes(), migration, 3)
        };
        assert!(check(JournalRecord::FORMAT).is_ok());
        let error = check(JournalRecord::FORMAT + 1).unwrap_err();
        assert!(error.to_string().contains("record 3 has format 2"));
        assert!(error.hint().is_some_and(|hint| hint.contains("newer")));
    }
}
