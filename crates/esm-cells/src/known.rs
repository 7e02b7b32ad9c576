//! What this process has seen to exist: where a search for an end may begin.

use std::fmt;
use std::hash::Hash;
use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};

use esm_core::id::StreamId;
use esm_core::store::Tail;
use lru::LruCache;

/// How many are remembered; forgetting one costs a few requests.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(16 * 1024).expect("not zero");

/// How many tails are remembered, each until the next append.
const SEEN: NonZeroUsize = NonZeroUsize::new(256).expect("not zero");

/// The tails that refused appends have found. They may be outdated.
pub(crate) struct Seen(Mutex<LruCache<StreamId, Tail>>);

impl Seen {
    pub(crate) fn get(&self, stream: &StreamId) -> Option<Tail> {
        self.lock().get(stream).cloned()
    }

    pub(crate) fn note(&self, stream: &StreamId, tail: &Tail) {
        self.lock().put(stream.clone(), tail.clone());
    }

    pub(crate) fn forget(&self, stream: &StreamId) {
        self.lock().pop(stream);
    }

    fn lock(&self) -> MutexGuard<'_, LruCache<StreamId, Tail>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Seen {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(SEEN)))
    }
}

impl fmt::Debug for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seen")
    }
}

/// The highest number known to exist, per key, of those that were used lately. Numbers are never
/// removed except by discarding a stream, so what was there is there: only not the last any more.
pub(crate) struct Known<K>(Mutex<LruCache<K, u64>>);

impl<K: Hash + Eq + Clone> Known<K> {
    pub(crate) fn get(&self, key: &K) -> Option<u64> {
        self.lock().get(key).copied()
    }

    pub(crate) fn note(&self, key: &K, number: u64) {
        let mut known = self.lock();
        match known.get_mut(key) {
            Some(highest) => *highest = number.max(*highest),
            None => drop(known.put(key.clone(), number)),
        }
    }

    pub(crate) fn forget(&self, key: &K) {
        self.lock().pop(key);
    }

    /// Forgets a number and returns it.
    pub(crate) fn take(&self, key: &K) -> Option<u64> {
        self.lock().pop(key)
    }

    fn lock(&self) -> MutexGuard<'_, LruCache<K, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Hash + Eq> Default for Known<K> {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(REMEMBERED)))
    }
}

impl<K: Hash + Eq> fmt::Debug for Known<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Known")
    }
}
