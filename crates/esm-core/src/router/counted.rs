//! Decorators that count the requests that appends make.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;

use crate::error::Result;
use crate::id::{CommitId, StoreId, StreamId};
use crate::router::statistics::Counter;
use crate::store::{
    Append, Capabilities, Close, EventStore, Fence, Page, PageLimit, ReadFrom, Record,
    RecordCollection, RecordKey, Records, StoreLimits, Tail,
};

/// What is counted: a store or records, and where.
#[derive(Debug)]
pub(in crate::router) struct Counted<T: ?Sized> {
    counter: Counter,
    inner: Arc<T>,
}

impl<T: ?Sized> Counted<T> {
    pub(in crate::router) fn new(inner: &Arc<T>, counter: &Counter) -> Self {
        Self {
            counter: counter.clone(),
            inner: Arc::clone(inner),
        }
    }

    fn request(&self) -> &T {
        self.counter.add(1);
        &self.inner
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl EventStore for Counted<dyn EventStore> {
    fn id(&self) -> StoreId {
        self.inner.id()
    }

    fn limits(&self) -> StoreLimits {
        self.inner.limits()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn tail(&self, stream: &StreamId) -> Result<Tail> {
        self.request().tail(stream).await
    }

    async fn read(&self, stream: &StreamId, from: ReadFrom, limit: PageLimit) -> Result<Page> {
        self.request().read(stream, from, limit).await
    }

    async fn append(&self, stream: &StreamId, expected: &Tail, append: Append) -> Result<Tail> {
        self.request().append(stream, expected, append).await
    }

    async fn close(
        &self,
        stream: &StreamId,
        expected: &Tail,
        commit: CommitId,
        close: Close,
    ) -> Result<Tail> {
        self.request().close(stream, expected, commit, close).await
    }

    async fn fence(
        &self,
        stream: &StreamId,
        expected: &Tail,
        commit: CommitId,
        fence: Fence,
    ) -> Result<Tail> {
        self.request().fence(stream, expected, commit, fence).await
    }

    async fn discard(&self, stream: &StreamId) -> Result<()> {
        self.request().discard(stream).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Records for Counted<dyn Records> {
    async fn latest(&self, key: &RecordKey) -> Result<Option<Record>> {
        self.request().latest(key).await
    }

    async fn get(&self, key: &RecordKey, number: u64) -> Result<Option<Record>> {
        self.request().get(key, number).await
    }

    async fn put(&self, key: &RecordKey, number: u64, body: Bytes) -> Result<()> {
        self.request().put(key, number, body).await
    }

    fn list(&self, collection: RecordCollection) -> BoxStream<'_, Result<RecordKey>> {
        self.request().list(collection)
    }
}
