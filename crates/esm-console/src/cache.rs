//! Values read from stores, shared by all viewers.
//!
//! The first viewer of a value loads it; those that come meanwhile wait for the same load, and those
//! that come a little later get what was loaded. So the stores are read as often for fifty viewers as
//! for one, and not at all while nobody looks.

use std::fmt;
use std::hash::Hash;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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

    /// How many bytes a value holds, where that can be many.
    fn bytes(_: &Self::Value) -> u64 {
        0
    }

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

/// Bytes that the values of a kind hold together, at most; one that is larger is kept alone.
const BYTES: u64 = 32 << 20;

/// The newest values of a kind, by key. The least recently used are forgotten.
pub(crate) struct Cache<K, L: Load> {
    environment: Environment,
    slots: Mutex<LruCache<K, Arc<Slot<L>>>>,
}

struct Slot<L: Load> {
    loaded: tokio::sync::Mutex<Loaded<L>>,
    /// What its value holds.
    bytes: AtomicU64,
}

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

impl<K: Hash + Eq + Clone, L: Load> Cache<K, L> {
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
        let mut loaded = slot.loaded.lock().await;
        let now = self.environment.clock.monotonic();
        let is_fresh = |at: Duration| now.saturating_sub(at) < L::FRESH;
        if !loaded.tried_at.is_some_and(is_fresh) {
            self.reload(&mut loaded).await;
            let value = loaded.value.as_ref();
            let bytes = value.map_or(0, |(value, _)| L::bytes(value));
            slot.bytes.store(bytes, Ordering::Relaxed);
            self.forget_beyond(BYTES);
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

    /// Forgets those that were not used for longest, until the others hold no more than this.
    fn forget_beyond(&self, most: u64) {
        let mut slots = self.slots();
        let of = |slot: &Arc<Slot<L>>| slot.bytes.load(Ordering::Relaxed);
        let mut held: u64 = slots.iter().map(|(_, slot)| of(slot)).sum();
        while held > most && slots.len() > 1 {
            let Some((_, slot)) = slots.pop_lru() else {
                return;
            };
            held -= of(&slot);
        }
    }

    fn slots(&self) -> MutexGuard<'_, LruCache<K, Arc<Slot<L>>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn slot(&self, key: K, loader: impl FnOnce() -> L) -> Arc<Slot<L>> {
        let mut slots = self.slots();
        let slot = slots.get_or_insert(key, || {
            let loaded = Loaded {
                loader: loader(),
                tried_at: None,
                value: None,
                error: None,
            };
            Arc::new(Slot {
                loaded: tokio::sync::Mutex::new(loaded),
                bytes: AtomicU64::new(0),
            })
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

    struct Large(u64);

    impl Load for Large {
        type Value = u64;

        fn bytes(value: &u64) -> u64 {
            *value
        }

        async fn load(&mut self) -> Result<u64> {
            Ok(self.0)
        }
    }

    #[tokio::test]
    async fn values_are_kept_by_their_bytes_not_only_by_their_number() {
        let cache = Cache::new(Environment::system(), 100);
        let kept = |cache: &Cache<u64, Large>| {
            cache
                .slots()
                .iter()
                .map(|(key, _)| *key)
                .collect::<Vec<_>>()
        };
        let get = async |cache: &Cache<u64, Large>, key, bytes| {
            let seen = cache.get(key, || Large(bytes)).await;
            assert_eq!(*seen.unwrap().value, bytes);
        };
        for key in 1..=3 {
            get(&cache, key, BYTES / 3).await;
        }
        assert_eq!(kept(&cache), [3, 2, 1]);
        get(&cache, 1, BYTES / 3).await;
        get(&cache, 4, BYTES / 3).await;
        assert_eq!(
            kept(&cache),
            [4, 1, 3],
            "the least recently used is forgotten"
        );
        get(&cache, 5, 2 * BYTES).await;
        assert_eq!(kept(&cache), [5], "a large one is kept alone");
        get(&cache, 6, 1).await;
        assert_eq!(kept(&cache), [6]);
    }

    impl Cache<&'static str, Counting> {
        async fn forget_age(&self) {
            let slot = self.slot("key", || unreachable!("there is one"));
            slot.loaded.lock().await.tried_at = None;
        }
    }
}
