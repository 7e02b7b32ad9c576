//! Values read from stores, shared by all viewers.
//!
//! The first viewer of a value loads it; those that come meanwhile wait for the same load, and those
//! that come a little later get what was loaded. So the stores are read as often for fifty viewers as
//! for one, and not at all while nobody looks.

use std::fmt;
use std::hash::Hash;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use esm_core::clock::Environment;
use esm_core::{Error, ErrorKind, Result};
use jiff::Timestamp;
use lru::LruCache;

/// How long a load may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Loads a value again and again. What it keeps between two loads makes the next one cheap.
pub(crate) trait Load: Send + 'static {
    /// What is loaded.
    type Value: Send + Sync + 'static;

    /// How long a value is shared before it is loaded again. Defaults to about two seconds.
    const FRESH: Duration = Duration::from_millis(1_900);

    /// Loads the value as it is now.
    fn load(&mut self) -> impl Future<Output = Result<Self::Value>> + Send;
}

/// A value with the time at which it was read.
#[derive(Debug)]
pub(crate) struct Seen<V> {
    pub(crate) value: Arc<V>,
    pub(crate) at: Timestamp,
    /// Why it could not be read again since.
    pub(crate) stale: Option<Arc<Error>>,
}

impl<V> Clone for Seen<V> {
    fn clone(&self) -> Self {
        Self {
            value: Arc::clone(&self.value),
            at: self.at,
            stale: self.stale.clone(),
        }
    }
}

/// The newest values of a kind, by key. The least recently used are forgotten.
pub(crate) struct Cache<K, L: Load> {
    environment: Environment,
    slots: Mutex<LruCache<K, Arc<Slot<L>>>>,
}

struct Slot<L: Load>(tokio::sync::Mutex<Loaded<L>>);

struct Loaded<L: Load> {
    loader: L,
    tried_at: Option<Duration>,
    value: Option<(Arc<L::Value>, Timestamp)>,
    error: Option<Arc<Error>>,
}

impl<K, L: Load> fmt::Debug for Cache<K, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").finish_non_exhaustive()
    }
}

impl<K: Hash + Eq, L: Load> Cache<K, L> {
    /// Keeps at most this many values.
    pub(crate) fn new(environment: Environment, most: usize) -> Self {
        let most = NonZeroUsize::new(most).unwrap_or(NonZeroUsize::MIN);
        Self {
            environment,
            slots: Mutex::new(LruCache::new(most)),
        }
    }

    /// The value of this key, as fresh as [`Load::FRESH`]; an older one where the newest load failed.
    ///
    /// # Errors
    /// That of the newest load, if there is no value.
    ///
    /// # Cancel safety
    /// Safe to drop: the next caller loads.
    pub(crate) async fn get(
        &self,
        key: K,
        loader: impl FnOnce() -> L,
    ) -> Result<Seen<L::Value>, Arc<Error>> {
        let slot = self.slot(key, loader);
        let mut loaded = slot.0.lock().await;
        let now = self.environment.clock.monotonic();
        let is_fresh = |at: Duration| now.saturating_sub(at) < L::FRESH;
        if !loaded.tried_at.is_some_and(is_fresh) {
            self.reload(&mut loaded).await;
        }
        match (&loaded.value, &loaded.error) {
            (Some((value, at)), stale) => Ok(Seen {
                value: Arc::clone(value),
                at: *at,
                stale: stale.clone(),
            }),
            (None, Some(error)) => Err(Arc::clone(error)),
            (None, None) => Err(Arc::new(unanswered())),
        }
    }

    async fn reload(&self, loaded: &mut Loaded<L>) {
        let load = self.environment.within(PATIENCE, loaded.loader.load());
        let at = self.environment.clock.now();
        match load.await.unwrap_or_else(|| Err(unanswered())) {
            Ok(value) => {
                loaded.value = Some((Arc::new(value), at));
                loaded.error = None;
            }
            Err(error) => {
                // what is gone is not shown as if it were only late
                if *error.kind() == ErrorKind::NotFound {
                    loaded.value = None;
                }
                loaded.error = Some(Arc::new(error));
            }
        }
        loaded.tried_at = Some(self.environment.clock.monotonic());
    }

    fn slot(&self, key: K, loader: impl FnOnce() -> L) -> Arc<Slot<L>> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = slots.get_or_insert(key, || {
            Arc::new(Slot(tokio::sync::Mutex::new(Loaded {
                loader: loader(),
                tried_at: None,
                value: None,
                error: None,
            })))
        });
        Arc::clone(slot)
    }
}

fn unanswered() -> Error {
    let seconds = PATIENCE.as_secs();
    Error::new(
        ErrorKind::Unavailable,
        format!("the store did not answer within {seconds} s"),
    )
    .with_hint("check the connection to the storage")
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    struct Counting(Arc<AtomicU64>);

    impl Load for Counting {
        type Value = u64;

        async fn load(&mut self) -> Result<u64> {
            tokio::task::yield_now().await;
            match self.0.fetch_add(1, Ordering::SeqCst) {
                2 => Err(Error::new(ErrorKind::Unavailable, "gone")),
                loads => Ok(loads),
            }
        }
    }

    #[tokio::test]
    async fn many_viewers_load_once_and_an_old_value_outlives_a_failure() {
        let loads = Arc::new(AtomicU64::new(0));
        let cache = Cache::new(Environment::system(), 4);
        let get = || cache.get("key", || Counting(Arc::clone(&loads)));
        let all = futures::future::join_all((0..50).map(|_| get())).await;
        assert!(all.iter().all(|seen| *seen.as_ref().unwrap().value == 0));
        assert_eq!(loads.load(Ordering::SeqCst), 1);

        for (value, is_stale) in [(1, false), (1, true), (3, false)] {
            cache.forget_age().await;
            let seen = get().await.unwrap();
            assert_eq!((*seen.value, seen.stale.is_some()), (value, is_stale));
        }
    }

    impl Cache<&'static str, Counting> {
        async fn forget_age(&self) {
            let slot = self.slot("key", || unreachable!("there is one"));
            slot.0.lock().await.tried_at = None;
        }
    }
}
