//! The decorator of versioned records.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use esm_core::Result;
use esm_core::store::{Record, RecordCollection, RecordKey, Records};
use futures::stream::BoxStream;

use super::{Call, Tap, tapped, tapped_stream};

/// Versioned records whose calls go through a [`Tap`]. Each remembers what was seen through it, as a
/// process does; clones share that.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use std::sync::Arc;
///
/// use esm_core::store::{RecordKey, Records as _};
/// use esm_testkit::memory::MemoryRecords;
/// use esm_testkit::record::Recorder;
/// use esm_testkit::tap::{OperationLog, TappedRecords};
///
/// let tap = Recorder::new("app", OperationLog::new());
/// let records = TappedRecords::new(Arc::new(MemoryRecords::new()), tap.clone());
/// records.latest(&RecordKey::Index).await?;
/// assert_eq!(tap.log().names()["records.latest"], 1);
/// # Ok::<(), esm_core::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone)]
pub struct TappedRecords<T> {
    inner: Arc<dyn Records>,
    tap: T,
    seen: Arc<Mutex<HashMap<RecordKey, Record>>>,
}

impl<T: Tap> TappedRecords<T> {
    /// Decorates these records with this tap.
    pub fn new(inner: Arc<dyn Records>, tap: T) -> Self {
        let seen = Arc::default();
        Self { inner, tap, seen }
    }

    fn note(&self, key: &RecordKey, record: Option<&Record>) {
        let Some(record) = record else { return };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let newest = seen.entry(key.clone()).or_insert_with(|| record.clone());
        if newest.number < record.number {
            newest.clone_from(record);
        }
    }
}

fn describe(key: &RecordKey) -> String {
    match key {
        RecordKey::Document(object) => format!("document of {object}"),
        RecordKey::Journal(migration) => format!("journal of {migration}"),
        RecordKey::Routing(object) => format!("routing of {object}"),
        _ => format!("{key:?}"),
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<T: Tap> Records for TappedRecords<T> {
    fn seen(&self, key: &RecordKey) -> Option<Record> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.get(key).cloned()
    }

    async fn latest(&self, key: &RecordKey) -> Result<Option<Record>> {
        let call = Call::read("records.latest", describe(key));
        let latest: Result<Option<Record>> = tapped!(self.tap, call, self.inner.latest(key));
        self.note(key, latest.as_ref().ok().and_then(Option::as_ref));
        latest
    }

    async fn get(&self, key: &RecordKey, number: u64) -> Result<Option<Record>> {
        let call = Call::read("records.get", format!("{} #{number}", describe(key)));
        let found: Result<Option<Record>> = tapped!(self.tap, call, self.inner.get(key, number));
        self.note(key, found.as_ref().ok().and_then(Option::as_ref));
        found
    }

    async fn put(&self, key: &RecordKey, number: u64, body: Bytes) -> Result<()> {
        let call = Call::write("records.put", format!("{} #{number}", describe(key)));
        let put: Result<()> = tapped!(self.tap, call, self.inner.put(key, number, body.clone()));
        if put.is_ok() {
            self.note(key, Some(&Record { number, body }));
        }
        put
    }

    fn list(&self, collection: RecordCollection) -> BoxStream<'_, Result<RecordKey>> {
        let call = Call::read("records.list", format!("{collection:?}"));
        tapped_stream(&self.tap, call, move || self.inner.list(collection))
    }
}
