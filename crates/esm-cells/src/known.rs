//! What this process has seen to exist: where a search for an end may begin.

use std::fmt;
use std::hash::Hash;
use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};

use lru::LruCache;

/// How many are remembered; forgetting one costs a few requests.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(16 * 1024).expect("not zero");

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
