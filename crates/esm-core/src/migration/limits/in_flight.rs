//! Bounds the requests of a run that are in flight.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::{Error, ErrorKind, Result};
use crate::protocol::control::Limit;
use crate::store::{Call, Layer};

/// The requests of a run that are in flight. Their limit may change at any time. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Requests(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    permits: Arc<Semaphore>,
    count: Mutex<Count>,
    /// Requests that wait for a permit.
    waiting: AtomicU64,
}

/// The number of permits.
#[derive(Debug)]
struct Count {
    /// Permits that there are, those of requests in flight included.
    existing: usize,
    /// Permits that there may be. Those beyond it vanish when their requests end.
    allowed: usize,
}

impl Default for Requests {
    fn default() -> Self {
        let all = permits(Limit::default());
        let count = Count {
            existing: all,
            allowed: all,
        };
        Self(Arc::new(Shared {
            permits: Arc::new(Semaphore::new(all)),
            count: Mutex::new(count),
            waiting: AtomicU64::new(0),
        }))
    }
}

fn permits(limit: Limit) -> usize {
    let most = limit.get().and_then(|most| usize::try_from(most).ok());
    most.unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS)
}

impl Shared {
    fn count(&self) -> MutexGuard<'_, Count> {
        self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Requests {
    pub(crate) fn limit(&self, limit: Limit) {
        let mut count = self.0.count();
        count.allowed = permits(limit);
        if count.allowed > count.existing {
            self.0.permits.add_permits(count.allowed - count.existing);
            count.existing = count.allowed;
        } else {
            let excess = count.existing - count.allowed;
            count.existing -= self.0.permits.forget_permits(excess);
        }
    }

    /// Returns whether a request waits because of the limit.
    pub(crate) fn is_full(&self) -> bool {
        self.0.waiting.load(Ordering::Relaxed) > 0
    }

    async fn permit(&self) -> Result<Permit> {
        let permits = Arc::clone(&self.0.permits);
        let permit = match Arc::clone(&permits).try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => {
                let _waiting = Waiting::new(&self.0.waiting);
                let permit = permits.acquire_owned().await;
                permit.map_err(|e| Error::new(ErrorKind::Unavailable, e.to_string()))?
            }
        };
        Ok(Permit {
            permit: Some(permit),
            shared: Arc::clone(&self.0),
        })
    }
}

/// A request that waits for a permit.
struct Waiting<'a>(&'a AtomicU64);

impl<'a> Waiting<'a> {
    fn new(waiting: &'a AtomicU64) -> Self {
        waiting.fetch_add(1, Ordering::Relaxed);
        Self(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A request that is in flight.
pub(crate) struct Permit {
    permit: Option<OwnedSemaphorePermit>,
    shared: Arc<Shared>,
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut count = self.shared.count();
        // returned while the count is locked: a lower limit then finds it among the free ones
        let Some(permit) = self.permit.take() else {
            return;
        };
        if count.existing > count.allowed {
            count.existing -= 1;
            permit.forget();
        }
    }
}

/// Close and Fence never wait for a permit.
impl Layer for Requests {
    type Held = Option<Permit>;

    async fn enter(&self, call: Call) -> Result<Option<Permit>> {
        match call {
            Call::Close | Call::Fence => Ok(None),
            _ => self.permit().await.map(Some),
        }
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
        let first = requests.permit().now_or_never().expect("there is room");
        let mut second = Box::pin(requests.permit());
        assert!((&mut second).now_or_never().is_none(), "one at a time");
        assert!(requests.is_full());
        requests.limit(Limit::At(2));
        let second = second.now_or_never().expect("there is room for two");
        assert!(!requests.is_full());
        let mut third = Box::pin(requests.permit());
        assert!((&mut third).now_or_never().is_none());
        drop(first);
        assert!((&mut third).now_or_never().is_some());
        drop(second);
    }

    #[test]
    fn a_lower_limit_holds_once_the_requests_beyond_it_have_ended() {
        let requests = Requests::default();
        let permit = || requests.permit().now_or_never();
        let [one, two, three] = [permit(), permit(), permit()];
        requests.limit(Limit::At(1));
        assert!(permit().is_none());
        drop((one, two));
        assert!(permit().is_none(), "one of one is in flight");
        drop(three);
        let last = permit();
        assert!(last.is_some() && permit().is_none());
        requests.limit(Limit::Unlimited);
        assert!(permit().is_some());
    }

    #[test]
    fn a_close_and_a_fence_do_not_wait() {
        let requests = Requests::default();
        requests.limit(Limit::At(0));
        for call in [Call::Close, Call::Fence] {
            assert!(matches!(
                requests.enter(call).now_or_never(),
                Some(Ok(None))
            ));
        }
        assert!(requests.enter(Call::Append).now_or_never().is_none());
    }
}
