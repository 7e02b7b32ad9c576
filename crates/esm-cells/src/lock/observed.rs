//! What this process saw of locks, and since when: how it knows that one has expired.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use esm_core::id::LockName;
use lru::LruCache;
use uuid::Uuid;

/// How many locks are watched; forgetting one means waiting for another lease.
const WATCHED: NonZeroUsize = NonZeroUsize::new(16 * 1024).expect("not zero");

/// A state of a lock that only its holder can change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct State {
    /// Drawn for the acquisition.
    pub(super) acquisition: Uuid,
    /// Drawn for its last heartbeat.
    pub(super) heartbeat: Option<Uuid>,
}

struct Seen {
    state: State,
    since: Duration,
}

/// Since when each lock has been seen in the state that it is in.
///
/// Clocks of different machines are never compared: a lock has expired for this process when this
/// process has seen it unchanged for a whole lease on its own clock. It saw the state after it was
/// written, so that is never too early.
pub(super) struct Observed(Mutex<LruCache<LockName, Seen>>);

impl Observed {
    /// How long the lock has been seen in this state, now included.
    pub(super) fn since(&self, name: &LockName, state: State, now: Duration) -> Duration {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match seen.get(name) {
            Some(known) if known.state == state => now.saturating_sub(known.since),
            _ => {
                seen.put(name.clone(), Seen { state, since: now });
                Duration::ZERO
            }
        }
    }
}

impl Default for Observed {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(WATCHED)))
    }
}

impl fmt::Debug for Observed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Observed")
    }
}
