//! The records provider.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use esm_core::store::{Record, RecordCollection, RecordKey, Records};
use esm_core::{Error, ErrorKind, Result};
use futures::stream::BoxStream;

use super::envelope::{self, Envelope, StoredKey};
use super::recent::Recent;
use crate::backend::{Backend, Creation};
use crate::known::Known;
use crate::probe::{self, Found};

/// Versioned records over an object store.
#[derive(Debug)]
pub(crate) struct ObjectRecords {
    pub(super) backend: Arc<Backend>,
    known: Known<RecordKey>,
    recent: Recent,
}

impl ObjectRecords {
    pub(crate) fn new(backend: Arc<Backend>) -> Self {
        Self {
            backend,
            known: Known::default(),
            recent: Recent::default(),
        }
    }

    fn note(&self, key: &RecordKey, record: &Record) {
        self.known.note(key, record.number);
        self.recent.note(key, record);
    }

    async fn version(&self, key: &RecordKey, number: u64) -> Result<Option<Record>> {
        let path = self.backend.layout().record_version(key, number)?;
        let Some(bytes) = self.backend.get(&path).await? else {
            return Ok(None);
        };
        let place = |e: Error| e.context(format!("record {}", self.backend.place(&path)));
        let (envelope, body) = envelope::decode(&bytes).map_err(place)?;
        check_place(&envelope, key, number).map_err(place)?;
        Ok(Some(Record { number, body }))
    }

    /// Versions have no gaps: putting one asks for the one before, unless this process has seen it.
    async fn check_before(&self, key: &RecordKey, number: u64) -> Result<()> {
        let Some(before) = number.checked_sub(1) else {
            return Ok(());
        };
        if self.known.get(key).is_some_and(|known| known >= before) {
            return Ok(());
        }
        let path = self.backend.layout().record_version(key, before)?;
        if self.backend.exists(&path).await? {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Conflict { actual: None },
            format!("version before {number} is missing: {key}"),
        ))
    }
}

fn check_place(envelope: &Envelope, key: &RecordKey, number: u64) -> Result<()> {
    if envelope.number == number && envelope.key == StoredKey::of(key)? {
        return Ok(());
    }
    Err(Error::corrupt(format!(
        "{key}, version {number}, says that it is version {} of another record",
        envelope.number
    )))
}

#[async_trait]
impl Records for ObjectRecords {
    fn seen(&self, key: &RecordKey) -> Option<Record> {
        let known = self.known.get(key)?;
        self.recent.get(key).filter(|seen| seen.number == known)
    }

    async fn latest(&self, key: &RecordKey) -> Result<Option<Record>> {
        let base = self.known.get(key).unwrap_or(0);
        let later = &AtomicBool::new(false);
        let at = |number| async move {
            let found = self.version(key, number).await?;
            later.fetch_or(number > base && found.is_some(), Ordering::Relaxed);
            Ok(found)
        };
        let last = match self.recent.get(key).filter(|seen| seen.number == base) {
            Some(object) => {
                let number = base;
                Some(probe::beyond(Found { number, object }, at).await?)
            }
            // most records have a version or two
            None if base == 0 => probe::last_among(&[0, 1, 2], at).await?,
            None => probe::last(base, at).await?,
        };
        match last {
            Some(found) => {
                self.note(key, &found.object);
                Ok(Some(found.object))
            }
            None if base == 0 && !later.load(Ordering::Relaxed) => Ok(None),
            // it was written while the one behind it was read
            None if base == 0 && self.version(key, base).await?.is_some() => self.latest(key).await,
            None => {
                let path = self.backend.layout().record_version(key, base)?;
                Err(Error::corrupt(format!(
                    "version of a record was removed: {}",
                    self.backend.place(&path)
                )))
            }
        }
    }

    async fn get(&self, key: &RecordKey, number: u64) -> Result<Option<Record>> {
        let record = self.version(key, number).await?;
        if let Some(record) = &record {
            self.note(key, record);
        }
        Ok(record)
    }

    async fn put(&self, key: &RecordKey, number: u64, body: Bytes) -> Result<()> {
        self.check_before(key, number).await?;
        let nonce = self.backend.environment().uuid_v4();
        let object = envelope::encode(key, number, nonce, &body)?;
        let path = self.backend.layout().record_version(key, number)?;
        let is_mine = |found: &Bytes| {
            let (found, _) = envelope::decode(found)
                .map_err(|e| e.context(format!("record {}", self.backend.place(&path))))?;
            Ok(found.nonce == nonce)
        };
        match self.backend.create(&path, &object, is_mine).await? {
            Creation::Created => {
                self.note(key, &Record { number, body });
                Ok(())
            }
            Creation::Taken(_) => {
                self.known.note(key, number);
                Err(Error::new(
                    ErrorKind::Conflict { actual: None },
                    format!("version {number} of a record was written by another: {key}"),
                ))
            }
        }
    }

    fn list(&self, collection: RecordCollection) -> BoxStream<'_, Result<RecordKey>> {
        self.keys(collection)
    }
}
