//! The newest versions that this process has seen, so that only newer ones need asking for.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};

use esm_core::store::{Record, RecordKey};
use lru::LruCache;

/// How many are remembered; forgetting one costs a request.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(4 * 1024).expect("not zero");
/// Larger ones are not.
const LARGEST: usize = 4 << 10;

/// The newest versions seen of small records. A version never changes and is never removed, so
/// what was seen is there: only not the newest any more.
pub(super) struct Recent(Mutex<LruCache<RecordKey, Record>>);

impl Recent {
    pub(super) fn get(&self, key: &RecordKey) -> Option<Record> {
        self.lock().get(key).cloned()
    }

    pub(super) fn note(&self, key: &RecordKey, record: &Record) {
        let mut recent = self.lock();
        if recent
            .get(key)
            .is_some_and(|seen| seen.number >= record.number)
        {
            return;
        }
        match record.body.len() {
            0..=LARGEST => drop(recent.put(key.clone(), record.clone())),
            _ => drop(recent.pop(key)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, LruCache<RecordKey, Record>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Recent {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(REMEMBERED)))
    }
}

impl fmt::Debug for Recent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Recent")
    }
}
