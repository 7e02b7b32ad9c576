//! The in-memory versioned records.

use std::collections::BTreeMap;

use async_trait::async_trait;
use bytes::Bytes;
use esm_core::store::{Record, RecordCollection, RecordKey, Records};
use esm_core::{Error, ErrorKind, Result};
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};

use super::Shared;

/// Versioned records in memory: a list of bodies for every key, whose index is the number.
///
/// Guarantee 1 of [`Records`] holds because a put is refused when its number is taken, even by an
/// equal body; 2 because it is refused when it is not the next; 3 and 4 because every handle reads
/// the same list.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use esm_core::store::{RecordKey, Records as _};
/// use esm_testkit::memory::MemoryRecords;
///
/// let records = MemoryRecords::new();
/// records.put(&RecordKey::Index, 0, "first".into()).await?;
/// assert!(records.put(&RecordKey::Index, 0, "again".into()).await.is_err());
/// assert_eq!(records.snapshot(&RecordKey::Index), ["first"]);
/// # Ok::<(), esm_core::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone, Default)]
pub struct MemoryRecords {
    bodies: Shared<BTreeMap<RecordKey, Vec<Bytes>>>,
}

impl MemoryRecords {
    /// No records.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns all versions of a record; for assertions, counted by no decorator.
    pub fn snapshot(&self, key: &RecordKey) -> Vec<Bytes> {
        self.bodies.lock().get(key).cloned().unwrap_or_default()
    }

    /// Loses the versions of a record from this number on, as a copy of the storage from an earlier
    /// time does; all of them from 0 on.
    pub fn lose_from(&self, key: &RecordKey, number: usize) {
        let mut bodies = self.bodies.lock();
        if let Some(versions) = bodies.get_mut(key) {
            versions.truncate(number);
        }
        bodies.retain(|_, versions| !versions.is_empty());
    }

    /// Returns all keys, sorted; for assertions.
    pub fn keys(&self) -> Vec<RecordKey> {
        self.bodies.lock().keys().cloned().collect()
    }
}

fn belongs(key: &RecordKey, collection: &RecordCollection) -> bool {
    match (key, collection) {
        (RecordKey::Document(object), RecordCollection::Documents(name)) => {
            name.as_ref().is_none_or(|name| object.name() == name)
        }
        (RecordKey::Journal(_), RecordCollection::Journals) => true,
        _ => false,
    }
}

#[async_trait]
impl Records for MemoryRecords {
    async fn latest(&self, key: &RecordKey) -> Result<Option<Record>> {
        let bodies = self.bodies.lock();
        let versions = bodies.get(key).map_or(&[][..], Vec::as_slice);
        Ok(versions.last().map(|body| Record {
            number: versions.len() as u64 - 1,
            body: body.clone(),
        }))
    }

    async fn get(&self, key: &RecordKey, number: u64) -> Result<Option<Record>> {
        let bodies = self.bodies.lock();
        let body = usize::try_from(number)
            .ok()
            .and_then(|index| bodies.get(key)?.get(index).cloned());
        Ok(body.map(|body| Record { number, body }))
    }

    async fn put(&self, key: &RecordKey, number: u64, body: Bytes) -> Result<()> {
        let mut bodies = self.bodies.lock();
        let next = bodies.get(key).map_or(0, Vec::len) as u64;
        if number != next {
            return Err(Error::new(
                ErrorKind::Conflict { actual: None },
                format!("record {key:?} has {next} versions, so this is not the next: {number}"),
            ));
        }
        bodies.entry(key.clone()).or_default().push(body);
        Ok(())
    }

    fn list(&self, collection: RecordCollection) -> BoxStream<'_, Result<RecordKey>> {
        let mut keys = self.keys();
        keys.retain(|key| belongs(key, &collection));
        stream::iter(keys).map(Ok).boxed()
    }
}
