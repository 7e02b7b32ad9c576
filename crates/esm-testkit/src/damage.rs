//! What a bad disk or an operator does: records that are damaged or lost at rest, and streams that
//! vanish while they are used.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use esm_core::id::{CommitId, StoreId, StreamId};
use esm_core::store::{
    Append, Capabilities, Close, EventStore, Fence, Page, PageLimit, ReadFrom, Record,
    RecordCollection, RecordKey, Records, StoreLimits, Tail,
};
use esm_core::{Error, Result};
use futures::stream::BoxStream;

use crate::memory::MemoryEventStore;

/// What became of a version of a record.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use std::sync::Arc;
///
/// use esm_core::store::{RecordKey, Records as _};
/// use esm_testkit::damage::{Damage, DamagedRecords};
/// use esm_testkit::memory::MemoryRecords;
///
/// let records = DamagedRecords::new(Arc::new(MemoryRecords::new()));
/// records.put(&RecordKey::Index, 0, "{}".into()).await?;
/// records.damage(&RecordKey::Index, 0, Damage::Lost);
/// assert_eq!(records.get(&RecordKey::Index, 0).await?, None);
/// # Ok::<(), esm_core::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// It is there and cannot be read.
    Unreadable,
    /// It is not there any more.
    Lost,
}

/// Records of which some versions are damaged or lost, as a bad disk leaves them. The others are
/// those of the inner records; new versions are written there.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use std::sync::Arc;
///
/// use esm_core::ErrorKind;
/// use esm_core::store::{RecordKey, Records as _};
/// use esm_testkit::damage::{Damage, DamagedRecords};
/// use esm_testkit::memory::MemoryRecords;
///
/// let records = DamagedRecords::new(Arc::new(MemoryRecords::new()));
/// records.put(&RecordKey::Index, 0, "{}".into()).await?;
/// records.damage(&RecordKey::Index, 0, Damage::Unreadable);
/// let read = records.get(&RecordKey::Index, 0).await;
/// assert_eq!(read.unwrap_err().kind(), &ErrorKind::Corrupt);
/// records.damage(&RecordKey::Index, 0, Damage::Lost);
/// assert_eq!(records.get(&RecordKey::Index, 0).await?, None);
/// # Ok::<(), esm_core::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug)]
pub struct DamagedRecords {
    inner: Arc<dyn Records>,
    damage: Mutex<BTreeMap<(RecordKey, u64), Damage>>,
}

impl DamagedRecords {
    /// Wraps records, undamaged so far.
    pub fn new(inner: Arc<dyn Records>) -> Self {
        Self {
            inner,
            damage: Mutex::default(),
        }
    }

    /// Damages a version from now on.
    pub fn damage(&self, key: &RecordKey, number: u64, damage: Damage) {
        let mut all = self.damage.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert((key.clone(), number), damage);
    }

    fn seen(&self, key: &RecordKey, record: Option<Record>) -> Result<Option<Record>> {
        let Some(record) = record else {
            return Ok(None);
        };
        let all = self.damage.lock().unwrap_or_else(PoisonError::into_inner);
        match all.get(&(key.clone(), record.number)) {
            None => Ok(Some(record)),
            Some(Damage::Lost) => Ok(None),
            Some(Damage::Unreadable) => Err(Error::corrupt(format!(
                "version {} of a record is damaged: {key:?}",
                record.number
            ))),
        }
    }
}

#[async_trait]
impl Records for DamagedRecords {
    async fn latest(&self, key: &RecordKey) -> Result<Option<Record>> {
        let latest = self.inner.latest(key).await?;
        self.seen(key, latest)
    }

    async fn get(&self, key: &RecordKey, number: u64) -> Result<Option<Record>> {
        let found = self.inner.get(key, number).await?;
        self.seen(key, found)
    }

    async fn put(&self, key: &RecordKey, number: u64, body: bytes::Bytes) -> Result<()> {
        self.inner.put(key, number, body).await
    }

    fn list(&self, collection: RecordCollection) -> BoxStream<'_, Result<RecordKey>> {
        self.inner.list(collection)
    }
}

/// An event store whose streams vanish after so many calls, as if its directory was moved away or
/// unmounted. From then on it is empty, and can be written to.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use esm_core::id::{StoreId, StreamId};
/// use esm_core::store::{Append, EventStore as _};
/// use esm_testkit::damage::VanishingStreams;
/// use esm_testkit::memory::MemoryEventStore;
///
/// let environment = esm_testkit::environment(1);
/// let inner = MemoryEventStore::new(StoreId::from_uuid(environment.uuid_v4()));
/// let store = VanishingStreams::new(std::sync::Arc::new(inner), 3);
/// let stream = StreamId::new("s")?;
/// let tail = store.tail(&stream).await?;
/// let append = Append::events(environment.commit_id(), vec![esm_testkit::event("e", "T").into()]);
/// store.append(&stream, &tail, append).await?;
/// assert!(!store.tail(&stream).await?.is_empty());
/// assert!(store.tail(&stream).await?.is_empty());
/// assert_eq!(store.calls_since(), Some(1));
/// # Ok::<(), esm_core::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug)]
pub struct VanishingStreams {
    before: Arc<dyn EventStore>,
    afterwards: MemoryEventStore,
    after: u64,
    calls: AtomicU64,
}

impl VanishingStreams {
    /// Calls since the streams vanished after which each call fails, so that a loop without progress
    /// ends and a test can report it.
    pub const MOST_CALLS: u64 = 10_000;

    /// The streams of this store, which vanish after so many calls.
    pub fn new(before: Arc<dyn EventStore>, after: u64) -> Self {
        Self {
            afterwards: MemoryEventStore::new(before.id()),
            before,
            after,
            calls: AtomicU64::new(0),
        }
    }

    /// Returns the number of calls since the streams vanished; `None` as long as they are there.
    pub fn calls_since(&self) -> Option<u64> {
        let calls = self.calls.load(Ordering::Relaxed);
        calls.checked_sub(self.after).filter(|since| *since > 0)
    }

    fn store(&self) -> Result<&dyn EventStore> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        match self.calls_since() {
            None => Ok(&*self.before),
            Some(0..=Self::MOST_CALLS) => Ok(&self.afterwards),
            Some(calls) => Err(Error::invalid(format!(
                "streams were looked for in vain {calls} times"
            ))),
        }
    }
}

#[async_trait]
impl EventStore for VanishingStreams {
    fn id(&self) -> StoreId {
        self.before.id()
    }

    fn limits(&self) -> StoreLimits {
        self.before.limits()
    }

    fn capabilities(&self) -> Capabilities {
        self.before.capabilities()
    }

    async fn tail(&self, stream: &StreamId) -> Result<Tail> {
        self.store()?.tail(stream).await
    }

    async fn read(&self, stream: &StreamId, from: ReadFrom, limit: PageLimit) -> Result<Page> {
        self.store()?.read(stream, from, limit).await
    }

    async fn append(&self, stream: &StreamId, expected: &Tail, append: Append) -> Result<Tail> {
        self.store()?.append(stream, expected, append).await
    }

    async fn close(
        &self,
        stream: &StreamId,
        expected: &Tail,
        commit: CommitId,
        close: Close,
    ) -> Result<Tail> {
        self.store()?.close(stream, expected, commit, close).await
    }

    async fn fence(
        &self,
        stream: &StreamId,
        expected: &Tail,
        commit: CommitId,
        fence: Fence,
    ) -> Result<Tail> {
        self.store()?.fence(stream, expected, commit, fence).await
    }

    async fn discard(&self, stream: &StreamId) -> Result<()> {
        self.store()?.discard(stream).await
    }
}
