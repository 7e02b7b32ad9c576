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
/// Guarantees 1 and 2 of [`LockProvider`] hold because a lock is free exactly when nobody holds it
/// or its lease has run out on the one clock; 3 because a lock's tokens are counted and the count
/// outlives every holder.
#[derive(Debug, Clone)]
pub struct MemoryLocks {
    clock: Arc<dyn Clock>,
    locks: Shared<BTreeMap<LockName, Lock>>,
}

#[derive(Debug, Default)]
struct Lock {
    /// How often it was acquired; also the newest token.
    acquisitions: u64,
    held: Option<Held>,
}

#[derive(Debug)]
struct Held {
    info: LockInfo,
    expires_at: Duration,
}

impl Lock {
    /// Who holds it with this token. A lease that ran out can be renewed until another takes over.
    fn holder(&mut self, token: FencingToken) -> Option<&mut Held> {
        (self.held.as_mut()).filter(|held| held.info.token == token)
    }

    /// Who holds it, with the rest of the lease, unless that ran out.
    fn observed(&self, now: Duration) -> Option<LockInfo> {
        let held = self.held.as_ref().filter(|held| held.expires_at > now)?;
        Some(LockInfo {
            expires_in: held.expires_at - now,
            ..held.info.clone()
        })
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
}

#[async_trait]
impl LockProvider for MemoryLocks {
    fn name(&self) -> &str {
        "memory"
    }

    async fn try_acquire(&self, name: &LockName, request: &LockRequest) -> Result<LockAttempt> {
        let (mut locks, now) = (self.locks.lock(), self.clock.monotonic());
        let lock = locks.entry(name.clone()).or_default();
        if let Some(info) = lock.observed(now) {
            return Ok(LockAttempt::Held(info));
        }
        lock.acquisitions += 1;
        let token = FencingToken(lock.acquisitions);
        lock.held = Some(Held {
            info: LockInfo {
                name: name.clone(),
                holder: request.holder.clone(),
                token,
                migration: request.migration,
                acquired_at: request.at,
                lease: request.lease,
                expires_in: request.lease,
            },
            expires_at: now + request.lease,
        });
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
        let held = (locks.get_mut(&grant.name))
            .and_then(|lock| lock.holder(grant.token))
            .ok_or_else(|| {
                Error::new(
                    ErrorKind::LockLost,
                    format!("lock was taken over or broken: {}", grant.name),
                )
            })?;
        held.expires_at = now + grant.lease;
        Ok(())
    }

    async fn release(&self, grant: &LockGrant) -> Result<()> {
        let mut locks = self.locks.lock();
        if let Some(lock) = locks.get_mut(&grant.name)
            && lock.holder(grant.token).is_some()
        {
            lock.held = None;
        }
        Ok(())
    }

    async fn inspect(&self, name: &LockName) -> Result<Option<LockInfo>> {
        let now = self.clock.monotonic();
        Ok((self.locks.lock().get(name)).and_then(|lock| lock.observed(now)))
    }

    async fn list(&self) -> Result<Vec<LockInfo>> {
        let now = self.clock.monotonic();
        let locks = self.locks.lock();
        Ok(locks
            .values()
            .filter_map(|lock| lock.observed(now))
            .collect())
    }

    async fn break_lock(&self, name: &LockName, token: FencingToken) -> Result<()> {
        let (mut locks, now) = (self.locks.lock(), self.clock.monotonic());
        let lock = locks.entry(name.clone()).or_default();
        let Some(info) = lock.observed(now) else {
            return Err(Error::not_found(format!("lock is free: {name}")));
        };
        if info.token != token {
            return Err(Error::new(
                ErrorKind::Conflict { actual: None },
                format!(
                    "lock has another token: expected {}, found {}",
                    token.0, info.token.0
                ),
            ));
        }
        lock.held = None;
        Ok(())
    }
}
