//! Stores that cannot be written to: what dry runs and read-only commands work on.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;

use crate::error::{Error, Result};
use crate::id::{CommitId, StoreId, StreamId};
use crate::store::{
    Append, Capabilities, Close, EventStore, Fence, Page, PageLimit, ReadFrom, Record,
    RecordCollection, RecordKey, Records, StoreLimits, Tail,
};

fn refused(what: &str) -> Error {
    Error::unsupported(format!("store is read-only: cannot {what}"))
}

/// An event store that refuses every write.
#[derive(Debug, Clone)]
pub struct ReadOnlyEventStore(Arc<dyn EventStore>);

impl ReadOnlyEventStore {
    /// Reads from this store.
    pub fn new(store: Arc<dyn EventStore>) -> Self {
        Self(store)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl EventStore for ReadOnlyEventStore {
    fn id(&self) -> StoreId {
        self.0.id()
    }

    fn limits(&self) -> StoreLimits {
        self.0.limits()
    }

    fn capabilities(&self) -> Capabilities {
        // a dry run wants to know what would keep the migration from being carried out
        self.0.capabilities().with_discard(false).with_fence(false)
    }

    async fn tail(&self, stream: &StreamId) -> Result<Tail> {
        self.0.tail(stream).await
    }

    async fn read(&self, stream: &StreamId, from: ReadFrom, limit: PageLimit) -> Result<Page> {
        self.0.read(stream, from, limit).await
    }

    async fn append(&self, _: &StreamId, _: &Tail, _: Append) -> Result<Tail> {
        Err(refused("append"))
    }

    async fn close(&self, _: &StreamId, _: &Tail, _: CommitId, _: Close) -> Result<Tail> {
        Err(refused("close a stream"))
    }

    async fn fence(&self, _: &StreamId, _: &Tail, _: CommitId, _: Fence) -> Result<Tail> {
        Err(refused("fence a stream"))
    }

    async fn discard(&self, _: &StreamId) -> Result<()> {
        Err(refused("discard a stream"))
    }
}

/// Records that refuse every write.
#[derive(Debug, Clone)]
pub struct ReadOnlyRecords(Arc<dyn Records>);

impl ReadOnlyRecords {
    /// Reads from these records.
    pub fn new(records: Arc<dyn Records>) -> Self {
        Self(records)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Records for ReadOnlyRecords {
    async fn latest(&self, key: &RecordKey) -> Result<Option<Record>> {
        self.0.latest(key).await
    }

    async fn get(&self, key: &RecordKey, number: u64) -> Result<Option<Record>> {
        self.0.get(key, number).await
    }

    async fn put(&self, _: &RecordKey, _: u64, _: Bytes) -> Result<()> {
        Err(refused("put a record"))
    }

    fn list(&self, collection: RecordCollection) -> BoxStream<'_, Result<RecordKey>> {
        self.0.list(collection)
    }
}
