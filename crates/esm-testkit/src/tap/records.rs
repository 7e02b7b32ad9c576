//! The decorator of versioned records.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use esm_core::Result;
use esm_core::store::{Record, RecordCollection, RecordKey, Records};
use futures::stream::BoxStream;

use super::{Call, Tap, tapped, tapped_stream};

/// Versioned records whose calls go through a [`Tap`].
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
}

impl<T: Tap> TappedRecords<T> {
    /// Decorates these records with this tap.
    pub fn new(inner: Arc<dyn Records>, tap: T) -> Self {
        Self { inner, tap }
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
    async fn latest(&self, key: &RecordKey) -> Result<Option<Record>> {
        let call = Call::read("records.latest", describe(key));
        tapped!(self.tap, call, self.inner.latest(key))
    }

    async fn get(&self, key: &RecordKey, number: u64) -> Result<Option<Record>> {
        let call = Call::read("records.get", format!("{} #{number}", describe(key)));
        tapped!(self.tap, call, self.inner.get(key, number))
    }

    async fn put(&self, key: &RecordKey, number: u64, body: Bytes) -> Result<()> {
        let call = Call::write("records.put", format!("{} #{number}", describe(key)));
        tapped!(self.tap, call, self.inner.put(key, number, body.clone()))
    }

    fn list(&self, collection: RecordCollection) -> BoxStream<'_, Result<RecordKey>> {
        let call = Call::read("records.list", format!("{collection:?}"));
        tapped_stream(&self.tap, call, move || self.inner.list(collection))
    }
}
