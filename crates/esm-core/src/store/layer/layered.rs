//! The decorator that forwards every call through a layer.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::TryStreamExt as _;
use futures::stream::{self, BoxStream, StreamExt as _};

use crate::error::{Error, Result};
use crate::event::Event;
use crate::id::{CommitId, StoreId, StreamId};
use crate::store::{
    Append, Capabilities, Close, EventStore, Fence, Page, PageLimit, ReadFrom, Record,
    RecordCollection, RecordKey, Records, StoreLimits, Tail,
};

/// A call on an event store or on records that may make requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    Tail,
    Read,
    Append,
    Close,
    Fence,
    Discard,
    Latest,
    Get,
    Put,
    List,
}

/// A hook before each call on a store: it may count, delay or refuse the call.
pub(crate) trait Layer: fmt::Debug + Send + Sync + 'static {
    /// Held until the call has returned.
    type Held: Send;

    /// Runs before a call.
    ///
    /// # Errors
    /// The error that the caller gets instead; the call is then not made.
    fn enter(&self, call: Call) -> impl Future<Output = Result<Self::Held>> + Send;

    /// Returns the capabilities that remain of the inner store's.
    fn capabilities(&self, inner: Capabilities) -> Capabilities {
        inner
    }
}

/// An event store, or records, whose calls go through a layer.
#[derive(Debug)]
pub(crate) struct Layered<L, S: ?Sized> {
    layer: L,
    inner: Arc<S>,
}

impl<L: Layer, S: ?Sized> Layered<L, S> {
    pub(crate) fn new(layer: L, inner: &Arc<S>) -> Arc<Self> {
        let inner = Arc::clone(inner);
        Arc::new(Self { layer, inner })
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<L: Layer> EventStore for Layered<L, dyn EventStore> {
    fn id(&self) -> StoreId {
        self.inner.id()
    }

    fn aliases(&self) -> &[StoreId] {
        self.inner.aliases()
    }

    fn place(&self) -> Option<&str> {
        self.inner.place()
    }

    fn limits(&self) -> StoreLimits {
        self.inner.limits()
    }

    fn size_of(&self, event: &Event) -> u64 {
        self.inner.size_of(event)
    }

    fn capabilities(&self) -> Capabilities {
        self.layer.capabilities(self.inner.capabilities())
    }

    fn place_of_cell(&self, stream: &StreamId, seq: u64) -> Option<String> {
        self.inner.place_of_cell(stream, seq)
    }

    fn seen_tail(&self, stream: &StreamId) -> Option<Tail> {
        self.inner.seen_tail(stream)
    }

    fn expect_cell(&self, stream: &StreamId, seq: u64) {
        self.inner.expect_cell(stream, seq);
    }

    async fn tail(&self, stream: &StreamId) -> Result<Tail> {
        let _held = self.layer.enter(Call::Tail).await?;
        self.inner.tail(stream).await
    }

    async fn read(&self, stream: &StreamId, from: ReadFrom, limit: PageLimit) -> Result<Page> {
        let _held = self.layer.enter(Call::Read).await?;
        self.inner.read(stream, from, limit).await
    }

    async fn append(&self, stream: &StreamId, expected: &Tail, append: Append) -> Result<Tail> {
        let _held = self.layer.enter(Call::Append).await?;
        self.inner.append(stream, expected, append).await
    }

    async fn close(
        &self,
        stream: &StreamId,
        expected: &Tail,
        commit: CommitId,
        close: Close,
    ) -> Result<Tail> {
        let _held = self.layer.enter(Call::Close).await?;
        self.inner.close(stream, expected, commit, close).await
    }

    async fn fence(
        &self,
        stream: &StreamId,
        expected: &Tail,
        commit: CommitId,
        fence: Fence,
    ) -> Result<Tail> {
        let _held = self.layer.enter(Call::Fence).await?;
        self.inner.fence(stream, expected, commit, fence).await
    }

    async fn discard(&self, stream: &StreamId) -> Result<()> {
        let _held = self.layer.enter(Call::Discard).await?;
        self.inner.discard(stream).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<L: Layer> Records for Layered<L, dyn Records> {
    fn seen(&self, key: &RecordKey) -> Option<Record> {
        self.inner.seen(key)
    }

    async fn latest(&self, key: &RecordKey) -> Result<Option<Record>> {
        let _held = self.layer.enter(Call::Latest).await?;
        self.inner.latest(key).await
    }

    async fn get(&self, key: &RecordKey, number: u64) -> Result<Option<Record>> {
        let _held = self.layer.enter(Call::Get).await?;
        self.inner.get(key, number).await
    }

    async fn put(&self, key: &RecordKey, number: u64, body: Bytes) -> Result<()> {
        let _held = self.layer.enter(Call::Put).await?;
        self.inner.put(key, number, body).await
    }

    /// The call is made when the listing is first polled, and returns with its first item: a caller
    /// makes other calls between the items, which would wait for this one.
    fn list(&self, collection: RecordCollection) -> BoxStream<'_, Result<RecordKey>> {
        stream::once(async move {
            let _held = self.layer.enter(Call::List).await?;
            let mut keys = self.inner.list(collection);
            let first = keys.next().await;
            Ok::<_, Error>(stream::iter(first).chain(keys))
        })
        .try_flatten()
        .boxed()
    }
}
