//! Reads and appends control logs.

use std::sync::Arc;

use serde::Deserialize;
use tracing::warn;

use crate::error::{Error, ErrorKind, Result};
use crate::id::MigrationId;
use crate::protocol::control::{ControlEntry, ControlRecord, ControlState};
use crate::store::{Record, RecordKey, Records, RecordsExt as _, decode};

/// Appends lost to concurrent appends before giving up.
const TRIES: usize = 64;

/// The control log of a migration, as far as this process has read it.
///
/// A [`MigrationService`](crate::migration::MigrationService) uses it by itself. It is public for
/// providers that carry out a strategy on their own.
#[derive(Debug, Clone)]
pub struct ControlLog {
    records: Arc<dyn Records>,
    key: RecordKey,
    state: ControlState,
}

impl ControlLog {
    /// Returns the log, unread so far.
    pub fn new(records: Arc<dyn Records>, migration: MigrationId) -> Self {
        Self {
            records,
            key: RecordKey::Control(migration),
            state: ControlState::default(),
        }
    }

    /// Returns what the records that were read come to.
    pub fn state(&self) -> &ControlState {
        &self.state
    }

    /// Reads the next record. `Some(None)` for a damaged one, which is skipped: a command that was
    /// lost can be sent again, and must not keep the others from being read.
    async fn next(&mut self) -> Result<Option<Option<Record>>> {
        match self.records.get(&self.key, self.state.next_number).await {
            Err(damage) if *damage.kind() == ErrorKind::Corrupt => {
                self.skip(&damage);
                Ok(Some(None))
            }
            Err(error) => Err(error),
            Ok(found) => Ok(found.map(Some)),
        }
    }

    fn skip(&mut self, damage: &Error) {
        warn!(%damage, "a command, or the answer to one, is damaged and has no effect");
        self.state.next_number += 1;
    }

    /// Reads the records appended since; costs one request if there are none.
    ///
    /// # Errors
    /// `Corrupt` for a newer format; those of the records.
    pub async fn catch_up(&mut self) -> Result<()> {
        while let Some(record) = self.next().await? {
            let Some(record) = record else { continue };
            check_format(&self.key, &record)?;
            let record: ControlRecord = match decode(&self.key, &record) {
                Ok(record) => record,
                Err(damage) => {
                    self.skip(&damage);
                    continue;
                }
            };
            self.state.apply(&record.entry);
        }
        Ok(())
    }

    /// Appends an entry if `wanted` still holds after reading all concurrent appends. After an
    /// ambiguous outcome the log may contain the entry twice; it counts once.
    ///
    /// # Errors
    /// `Conflict` when a concurrent append won every time; `Ambiguous`; `Unavailable`; `Corrupt`.
    pub async fn append(
        &mut self,
        entry: &ControlEntry,
        mut wanted: impl FnMut(&ControlState) -> bool + Send,
    ) -> Result<()> {
        let format = ControlRecord::FORMAT;
        let record = ControlRecord {
            format,
            entry: entry.clone(),
        };
        let mut last = None;
        for _ in 0..TRIES {
            if !wanted(&self.state) {
                return Ok(());
            }
            let number = self.state.next_number;
            match self.records.put_as(&self.key, number, &record).await {
                Ok(()) => {
                    self.state.apply(entry);
                    return Ok(());
                }
                // the record there, perhaps this very entry, is read before the next attempt
                Err(e) if matches!(e.kind(), ErrorKind::Conflict { .. } | ErrorKind::Ambiguous) => {
                    last = Some(e);
                    self.catch_up().await?;
                }
                Err(e) => return Err(e),
            }
        }
        Err(last.unwrap_or_else(|| Error::new(ErrorKind::Unavailable, "control log not written")))
    }
}

/// Refuses a record of a newer format, which may have any form.
///
/// # Errors
/// `Corrupt`.
fn check_format(key: &RecordKey, record: &Record) -> Result<()> {
    #[derive(Deserialize)]
    struct Format {
        format: u32,
    }
    let known = ControlRecord::FORMAT;
    match serde_json::from_slice(&record.body) {
        Ok(Format { format }) if format > known => {
            let number = record.number;
            let message =
                format!("record {number} of the {key} has format {format}, known is {known}");
            Err(Error::corrupt(message).with_hint("use a newer version of esm"))
        }
        // what is damaged is reported by the decoder
        _ => Ok(()),
    }
}
