//! Bounds the requests of a run that are in flight.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::sync::Notify;

use crate::error::Result;
use crate::id::{CommitId, StoreId, StreamId};
use crate::protocol::control::Limit;
use crate::store::{
    Append, Capabilities, Close, EventStore, Fence, Page, PageLimit, ReadFrom, StoreLimits, Stores,
    Tail,
};

/// The requests of a run that are in flight. Their limit may change at any time.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    state: Mutex<State>,
    freed: Notify,
}

#[derive(Debug, Default)]
struct State {
    in_flight: u64,
    /// Requests that wait for a permit.
    waiting: u64,
    limit: Limit,
}

/// A request that waits for a permit.
struct Waiting<'a>(&'a Requests);

impl<'a> Waiting<'a> {
    fn new(requests: &'a Requests) -> Self {
        requests.lock().waiting += 1;
        Self(requests)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.lock().waiting -= 1;
    }
}

/// A request that is in flight.
struct Permit<'a>(&'a Requests);

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.0.lock().in_flight -= 1;
        self.0.freed.notify_one();
    }
}

impl Requests {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn limit(&self, limit: Limit) {
        self.lock().limit = limit;
        self.freed.notify_waiters();
    }

    /// Returns whether a request waits because of the limit.
    pub(crate) fn is_full(&self) -> bool {
        self.lock().waiting > 0
    }

    async fn enter(&self) -> Permit<'_> {
        loop {
            let mut freed = std::pin::pin!(self.freed.notified());
            // registered before the state is read, so that no permit is missed
            freed.as_mut().enable();
            {
                let mut state = self.lock();
                if state.limit.get().is_none_or(|most| state.in_flight < most) {
                    state.in_flight += 1;
                    return Permit(self);
                }
            }
            let _waiting = Waiting::new(self);
            freed.await;
        }
    }
}

/// Returns the same stores; their requests share one limit.
pub(crate) fn limited(stores: &Stores, requests: &Arc<Requests>) -> Stores {
    stores.map(|store| {
        Arc::new(LimitedEventStore {
            store: Arc::clone(store),
            requests: Arc::clone(requests),
        })
    })
}

/// An event store with a limit of requests in flight. Close and Fence never wait for a permit.
#[derive(Debug)]
struct LimitedEventStore {
    store: Arc<dyn EventStore>,
    requests: Arc<Requests>,
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl EventStore for LimitedEventStore {
    fn id(&self) -> StoreId {
        self.store.id()
    }

    fn limits(&self) -> StoreLimits {
        self.store.limits()
    }

    fn capabilities(&self) -> Capabilities {
        self.store.capabilities()
    }

    async fn tail(&self, stream: &StreamId) -> Result<Tail> {
        let _permit = self.requests.enter().await;
        self.store.tail(stream).await
    }

    async fn read(&self, stream: &StreamId, from: ReadFrom, limit: PageLimit) -> Result<Page> {
        let _permit = self.requests.enter().await;
        self.store.read(stream, from, limit).await
    }

    async fn append(&self, stream: &StreamId, expected: &Tail, append: Append) -> Result<Tail> {
        let _permit = self.requests.enter().await;
        self.store.append(stream, expected, append).await
    }

    async fn close(
        &self,
        stream: &StreamId,
        expected: &Tail,
        commit: CommitId,
        close: Close,
    ) -> Result<Tail> {
        self.store.close(stream, expected, commit, close).await
    }

    async fn fence(
        &self,
        stream: &StreamId,
        expected: &Tail,
        commit: CommitId,
        fence: Fence,
    ) -> Result<Tail> {
        self.store.fence(stream, expected, commit, fence).await
    }

    async fn discard(&self, stream: &StreamId) -> Result<()> {
        let _permit = self.requests.enter().await;
        self.store.discard(stream).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;

    #[test]
    fn no_more_than_the_limit_are_under_way_and_raising_it_lets_more_in() {
        let requests = Requests::default();
        requests.limit(Limit::At(1));
        let first = requests.enter().now_or_never().expect("there is room");
        let mut second = Box::pin(requests.enter());
        assert!((&mut second).now_or_never().is_none(), "one at a time");
        assert!(requests.is_full());
        requests.limit(Limit::At(2));
        let second = second.now_or_never().expect("there is room for two");
        assert!(!requests.is_full());
        let mut third = Box::pin(requests.enter());
        assert!((&mut third).now_or_never().is_none());
        drop(first);
        assert!((&mut third).now_or_never().is_some());
        drop(second);
    }
}
