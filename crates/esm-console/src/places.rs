//! Places of connections: as many as there may be at the same time.
//!
//! A connection rests while its client has sent no whole request. Where all places are taken, a new
//! connection gets that of the one that has rested for longest. So clients that say nothing, or say it
//! slowly, do not keep others out; a request that is being answered is never cut off.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

/// The places of a server.
#[derive(Debug)]
pub(crate) struct Places {
    free: Arc<Semaphore>,
    resting: Mutex<Resting>,
    changed: Notify,
}

/// The connections that rest, in the order in which they began to.
#[derive(Debug, Default)]
struct Resting {
    next: u64,
    order: BTreeMap<u64, CancellationToken>,
}

/// The place of a connection; free again when it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    places: Arc<Places>,
    wanted: CancellationToken,
    /// Its number among those that rest.
    rests_as: Mutex<Option<u64>>,
    _permit: OwnedSemaphorePermit,
}

impl Places {
    /// At most this many connections.
    pub(crate) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            free: Arc::new(Semaphore::new(most)),
            resting: Mutex::default(),
            changed: Notify::new(),
        })
    }

    /// Waits for a place. For one caller at a time.
    ///
    /// # Cancel safety
    /// Safe to drop; the connection that was to give way still does.
    pub(crate) async fn take(self: &Arc<Self>) -> Place {
        loop {
            if let Ok(permit) = Arc::clone(&self.free).try_acquire_owned() {
                return self.place(permit);
            }
            let permit = Arc::clone(&self.free).acquire_owned();
            if let Some((_, longest)) = self.resting().order.pop_first() {
                longest.cancel();
            } else {
                tokio::select! {
                    permit = permit => if let Ok(permit) = permit { return self.place(permit) },
                    () = self.changed.notified() => {}
                }
                continue;
            }
            if let Ok(permit) = permit.await {
                return self.place(permit);
            }
        }
    }

    fn place(self: &Arc<Self>, permit: OwnedSemaphorePermit) -> Place {
        Place {
            places: Arc::clone(self),
            wanted: CancellationToken::new(),
            rests_as: Mutex::default(),
            _permit: permit,
        }
    }

    fn resting(&self) -> MutexGuard<'_, Resting> {
        self.resting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// From now on the client has sent no whole request.
    pub(crate) fn rest(&self) {
        self.work();
        let mut resting = self.places.resting();
        let number = resting.next;
        resting.next += 1;
        resting.order.insert(number, self.wanted.clone());
        drop(resting);
        *self.rests_as() = Some(number);
        self.places.changed.notify_one();
    }

    /// From now on a request is being answered. Returns whether the place is still its own.
    pub(crate) fn work(&self) -> bool {
        let number = self.rests_as().take();
        let mut resting = self.places.resting();
        number.is_some_and(|number| resting.order.remove(&number).is_some())
    }

    /// Waits until the place is wanted for another connection.
    pub(crate) async fn wanted(&self) {
        self.wanted.cancelled().await;
    }

    fn rests_as(&self) -> MutexGuard<'_, Option<u64>> {
        self.rests_as.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.work();
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn the_one_that_rests_for_longest_gives_way_and_one_that_works_never_does() {
        let places = Places::new(3);
        let (first, second, third) = (
            places.take().await,
            places.take().await,
            places.take().await,
        );
        for place in [&first, &second, &third] {
            place.rest();
        }
        second.work();
        first.work();
        first.rest();
        let mut new = Box::pin(places.take());
        assert!((&mut new).now_or_never().is_none(), "all are taken");
        assert!(third.wanted().now_or_never().is_some());
        assert!(first.wanted().now_or_never().is_none());
        assert!(second.wanted().now_or_never().is_none());
        drop(third);
        let new = new.await;
        first.work();
        let mut another = Box::pin(places.take());
        assert!((&mut another).now_or_never().is_none(), "all work");
        new.rest();
        assert!((&mut another).now_or_never().is_none());
        assert!(new.wanted().now_or_never().is_some());
        drop(second);
        another.await;
    }
}
