//! The decorator of event stores.

use std::sync::Arc;

use async_trait::async_trait;
use esm_core::Result;
use esm_core::event::Event;
use esm_core::id::{CommitId, StoreId, StreamId};
use esm_core::store::{
    Append, Capabilities, Close, EventStore, Fence, Page, PageLimit, ReadFrom, StoreLimits, Tail,
};

use super::{Call, Tap, tapped};

/// An event store whose calls go through a [`Tap`].
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()
/// # .unwrap().block_on(async {
/// use esm_core::id::StreamId;
/// use esm_core::store::EventStore as _;
/// use esm_testkit::memory::MemoryWorld;
/// use esm_testkit::record::Recorder;
/// use esm_testkit::tap::{OperationLog, TappedEventStore};
///
/// let world = MemoryWorld::new(esm_testkit::environment(1));
/// let tap = Recorder::new("app", OperationLog::new());
/// let store = TappedEventStore::new(world.event_store(), tap.clone());
/// store.tail(&StreamId::new("orders")?).await?;
/// assert_eq!(tap.log().names()["event_store.tail"], 1);
/// # Ok::<(), esm_core::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone)]
pub struct TappedEventStore<T> {
    inner: Arc<dyn EventStore>,
    tap: T,
}

impl<T: Tap> TappedEventStore<T> {
    /// Decorates this store with this tap.
    pub fn new(inner: Arc<dyn EventStore>, tap: T) -> Self {
        Self { inner, tap }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<T: Tap> EventStore for TappedEventStore<T> {
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
        self.inner.capabilities()
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
        let call = Call::read("event_store.tail", stream);
        tapped!(self.tap, call, self.inner.tail(stream))
    }

    async fn read(&self, stream: &StreamId, from: ReadFrom, limit: PageLimit) -> Result<Page> {
        let call = Call::read("event_store.read", stream);
        tapped!(self.tap, call, self.inner.read(stream, from, limit))
    }

    async fn append(&self, stream: &StreamId, expected: &Tail, append: Append) -> Result<Tail> {
        let call = Call::write("event_store.append", stream);
        tapped!(
            self.tap,
            call,
            self.inner.append(stream, expected, append.clone())
        )
    }

    async fn close(
        &self,
        stream: &StreamId,
        expected: &Tail,
        commit: CommitId,
        close: Close,
    ) -> Result<Tail> {
        let call = Call::write("event_store.close", stream);
        tapped!(
            self.tap,
            call,
            self.inner.close(stream, expected, commit, close.clone())
        )
    }

    async fn fence(
        &self,
        stream: &StreamId,
        expected: &Tail,
        commit: CommitId,
        fence: Fence,
    ) -> Result<Tail> {
        let call = Call::write("event_store.fence", stream);
        tapped!(
            self.tap,
            call,
            self.inner.fence(stream, expected, commit, fence.clone())
        )
    }

    async fn discard(&self, stream: &StreamId) -> Result<()> {
        let call = Call::write("event_store.discard", stream);
        tapped!(self.tap, call, self.inner.discard(stream))
    }
}
