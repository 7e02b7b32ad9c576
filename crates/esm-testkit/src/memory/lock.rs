//! The in-memory lock provider.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use esm_core::clock::Clock;
use esm_core::id::{FencingToken, LockName};
use esm_core::store::{LockAttempt, LockGrant, LockInfo, LockProvider, LockRequest};
use esm_core::{Error, ErrorKind, Result};

use super::Shared;

/// Locks in memory.
///
/// Guarantees 1 and 2 of [`LockProvider`] hold because a lock is free exactly when its newest
/// acquisition was released or its lease has run out on the one clock; 3 because that acquisition
/// keeps its token, and the next one gets the next token.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()
/// # .unwrap().block_on(async {
/// use std::sync::Arc;
/// use std::time::Duration;
///
/// use esm_core::id::{HolderId, LockName};
/// use esm_core::store::{LockAttempt, LockProvider as _, LockRequest};
/// use esm_testkit::memory::MemoryLocks;
///
/// let clock = esm_testkit::environment(1).clock;
/// let locks = MemoryLocks::new(Arc::clone(&clock));
/// let order = LockName::new("order/1")?;
/// let asks = |holder| -> esm_core::Result<LockRequest> {
///     let (lease, at) = (Duration::from_secs(60), clock.now());
///     Ok(LockRequest { holder: HolderId::new(holder)?, lease, migration: None, at, process: None })
/// };
/// let first = locks.try_acquire(&order, &asks("adam")?).await?;
/// assert!(matches!(first, LockAttempt::Acquired(_)));
/// let second = locks.try_acquire(&order, &asks("eve")?).await?;
/// assert!(matches!(second, LockAttempt::Held(by) if by.holder.as_str() == "adam"));
/// # Ok::<(), esm_core::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone)]
pub struct MemoryLocks {
    clock: Arc<dyn Clock>,
    locks: Shared<BTreeMap<LockName, Newest>>,
}

/// The newest acquisition of a lock.
#[derive(Debug)]
struct Newest {
    /// [`LockInfo::held`] is cleared by releasing and breaking only; see [`observed`](Self::observed).
    info: LockInfo,
    expires_at: Duration,
}

impl Newest {
    /// Returns whether this grant holds the lock. A lease that ran out can be renewed until another
    /// holder takes over.
    fn is(&self, grant: &LockGrant) -> bool {
        self.info.held && self.info.token == grant.token
    }

    fn observed(&self, now: Duration) -> LockInfo {
        let expires_in = if self.info.held {
            self.expires_at.saturating_sub(now)
        } else {
            Duration::ZERO
        };
        LockInfo {
            held: !expires_in.is_zero(),
            expires_in,
            ..self.info.clone()
        }
    }
}

impl MemoryLocks {
    /// Locks that expire by this clock.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            locks: Shared::default(),
        }
    }

    /// Returns the names of all locks that are or were held, sorted.
    pub fn names(&self) -> Vec<LockName> {
        self.locks.lock().keys().cloned().collect()
    }
}

#[async_trait]
impl LockProvider for MemoryLocks {
    fn name(&self) -> &str {
        "memory"
    }

    async fn try_acquire(&self, name: &LockName, request: &LockRequest) -> Result<LockAttempt> {
        let (mut locks, now) = (self.locks.lock(), self.clock.monotonic());
        let newest = locks.get(name).map(|newest| newest.observed(now));
        if let Some(info) = newest.clone().filter(|info| info.held) {
            return Ok(LockAttempt::Held(info));
        }
        let token = FencingToken(newest.map_or(1, |info| info.token.0 + 1));
        let info = LockInfo {
            renewed_at: Some(request.at),
            ..LockInfo::granted(name, token, request)
        };
        let expires_at = now + request.lease;
        locks.insert(name.clone(), Newest { info, expires_at });
        Ok(LockAttempt::Acquired(LockGrant {
            name: name.clone(),
            holder: request.holder.clone(),
            token,
            lease: request.lease,
            data: Bytes::new(),
        }))
    }

    async fn renew(&self, grant: &LockGrant) -> Result<()> {
        let (mut locks, now) = (self.locks.lock(), self.clock.monotonic());
        let mine = locks.get_mut(&grant.name).filter(|newest| newest.is(grant));
        let Some(mine) = mine else {
            return Err(Error::new(
                ErrorKind::LockLost,
                format!("lock was taken over or broken: {}", grant.name),
            ));
        };
        mine.expires_at = now + grant.lease;
        mine.info.renewed_at = Some(self.clock.now());
        Ok(())
    }

    async fn release(&self, grant: &LockGrant) -> Result<()> {
        let mut locks = self.locks.lock();
        let mine = locks.get_mut(&grant.name).filter(|newest| newest.is(grant));
        if let Some(mine) = mine {
            mine.info.held = false;
        }
        Ok(())
    }

    async fn inspect(&self, name: &LockName) -> Result<Option<LockInfo>> {
        let now = self.clock.monotonic();
        Ok((self.locks.lock().get(name)).map(|newest| newest.observed(now)))
    }

    async fn list(&self) -> Result<Vec<LockInfo>> {
        let now = self.clock.monotonic();
        let locks = self.locks.lock();
        let all = locks.values().map(|newest| newest.observed(now));
        Ok(all.filter(|info| info.held).collect())
    }

    async fn break_lock(&self, name: &LockName, token: FencingToken) -> Result<()> {
        let (mut locks, now) = (self.locks.lock(), self.clock.monotonic());
        let newest = locks
            .get_mut(name)
            .filter(|newest| newest.observed(now).held);
        let Some(newest) = newest else {
            return Err(Error::not_found(format!("lock is free: {name}")));
        };
        let actual = newest.info.token;
        if actual != token {
            return Err(Error::new(
                ErrorKind::Conflict { actual: None },
                format!(
                    "lock has another token: expected {}, found {}",
                    token.0, actual.0
                ),
            ));
        }
        newest.info.held = false;
        Ok(())
    }
}
