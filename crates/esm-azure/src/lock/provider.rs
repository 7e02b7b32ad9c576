//! The lock provider.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use azure_core::http::Etag;
use bytes::Bytes;
use esm_cells::{Backend, Key};
use esm_core::id::{FencingToken, LockName};
use esm_core::store::{LockAttempt, LockGrant, LockInfo, LockProvider, LockRequest};
use esm_core::{Error, ErrorKind, Result};
use futures::stream::TryStreamExt as _;
use uuid::Uuid;

use super::acquisition::Acquisition;
use super::lease::{Kept, Leased, seconds};
use crate::container::Container;
use crate::failure::Failure;
use crate::objects::{Condition, listed};

/// How many locks are looked at at once when all are listed.
const LIST_WIDTH: usize = 8;
/// How often acquiring is tried again after the lock's blob was made or removed meanwhile.
const ATTEMPTS: u32 = 3;

/// Locks over blob leases.
///
/// A lock is a blob of its own that nothing else is stored in. Who has its lease holds the lock;
/// what the blob says is who that is, and which number the acquisition has: it is written under the
/// lease, and stays when the lease ends, so the number grows with every acquisition.
#[derive(Debug)]
pub(crate) struct LeaseLocks {
    backend: Arc<Backend>,
    container: Arc<Container>,
}

/// A lock's blob, as it was read.
struct Seen {
    acquisition: Acquisition,
    etag: Option<Etag>,
    held: bool,
}

impl LeaseLocks {
    pub(crate) fn new(backend: Arc<Backend>, container: Arc<Container>) -> Self {
        Self { backend, container }
    }

    fn key(&self, name: &LockName) -> Key {
        self.backend.layout().lock(name).join("lease")
    }

    fn failed(&self, failure: Failure, doing: &str, key: &Key) -> Error {
        failure.explain(doing, format!("lock {}", self.container.place(key)))
    }

    async fn look(&self, key: &Key) -> Result<Option<Seen>> {
        let found = self.container.read(key, None).await;
        let Some(found) = found.map_err(|e| self.failed(e, "cannot read", key))? else {
            return Ok(None);
        };
        let acquisition = Acquisition::decode(&found.body)
            .map_err(|e| e.context(format!("lock {}", self.container.place(key))))?;
        Ok(Some(Seen {
            acquisition,
            etag: found.etag,
            held: found.is_leased,
        }))
    }

    /// Makes the blob of a lock that was never acquired; it says already what it says once the
    /// lease is granted. Nothing when somebody else made it.
    async fn make(&self, key: &Key, acquisition: &Acquisition) -> Result<Option<Etag>> {
        let body = acquisition.encode()?;
        match self.container.write(key, body, &Condition::Absent).await {
            Ok(etag) => Ok(etag),
            // whether it is there now, the lease tells
            Err(failure) if failure.is_conflict() || failure.is_transient() => Ok(None),
            Err(failure) => Err(self.failed(failure, "cannot write", key)),
        }
    }

    /// Says in the blob who holds the lease. Nothing when the lease was lost meanwhile.
    async fn sign(&self, key: &Key, acquisition: &Acquisition) -> Result<Option<()>> {
        let condition = Condition::Leased(acquisition.lease.to_string());
        let body = acquisition.encode()?;
        let mut pauses = crate::container::Pauses::new();
        loop {
            let failure = match self.container.write(key, body.clone(), &condition).await {
                Ok(_) => return Ok(Some(())),
                Err(failure) => failure,
            };
            if failure.is_conflict() || failure.is_missing_blob() {
                return Ok(None);
            }
            // under the lease the very same write may be repeated
            let environment = self.container.environment();
            if !failure.is_transient() || !pauses.pause(environment, &failure).await {
                // a lease that nobody knows of would lock everybody out until it ends
                let _ = self.container.release(key, acquisition.lease).await;
                return Err(self.failed(failure, "cannot write", key));
            }
        }
    }

    /// What a lock looks like that another has, or nobody any more.
    async fn held_by_another(&self, key: &Key) -> Result<Option<LockInfo>> {
        let seen = self.look(key).await?;
        // it was held a moment ago: who asks again will see whether it still is
        Ok(seen.map(|seen| seen.acquisition.info(true)))
    }

    fn lost(name: &LockName) -> Error {
        Error::new(
            ErrorKind::LockLost,
            format!("lock was taken over or broken: {name}"),
        )
    }
}

fn grant(acquisition: &Acquisition, request: &LockRequest) -> LockAttempt {
    LockAttempt::Acquired(LockGrant {
        name: acquisition.name.clone(),
        holder: request.holder.clone(),
        token: acquisition.token,
        lease: request.lease,
        data: Bytes::copy_from_slice(acquisition.lease.as_bytes()),
    })
}

fn lease_of(grant: &LockGrant) -> Result<Uuid> {
    Uuid::from_slice(&grant.data).map_err(|e| {
        Error::invalid(format!(
            "lock was granted by another provider: {}",
            grant.name
        ))
        .with_source(e)
    })
}

#[async_trait]
impl LockProvider for LeaseLocks {
    fn name(&self) -> &str {
        "azure blob lease"
    }

    async fn try_acquire(&self, name: &LockName, request: &LockRequest) -> Result<LockAttempt> {
        self.backend.check_writable()?;
        let seconds = seconds(request.lease)?;
        let key = self.key(name);
        let id = self.container.environment().uuid_v4();
        let first = Acquisition::new(name, id, 0, request);
        let mut made = None;
        for _ in 0..ATTEMPTS {
            let asked = self.container.acquire(&key, id, seconds).await;
            let state = match asked.map_err(|e| self.failed(e, "cannot acquire", &key))? {
                Leased::Granted(etag) => etag,
                Leased::Held => match self.held_by_another(&key).await? {
                    Some(info) => return Ok(LockAttempt::Held(info)),
                    None => continue,
                },
                Leased::NoBlob => {
                    made = self.make(&key, &first).await?;
                    continue;
                }
            };
            if made.is_some() && made == state {
                // the blob is as it was made: nobody acquired it in between
                return Ok(grant(&first, request));
            }
            let Some(seen) = self.look(&key).await? else {
                continue;
            };
            // made by this very call, whose answer was lost
            let token = match seen.acquisition.lease == id {
                true => seen.acquisition.token.0,
                false => seen.acquisition.token.0 + 1,
            };
            let acquisition = Acquisition::new(name, id, token, request);
            match self.sign(&key, &acquisition).await? {
                Some(()) => return Ok(grant(&acquisition, request)),
                None => return Ok(LockAttempt::Held(seen.acquisition.info(true))),
            }
        }
        Err(Error::new(
            ErrorKind::Unavailable,
            format!("lock is made and removed again and again: {name}"),
        ))
    }

    async fn renew(&self, grant: &LockGrant) -> Result<()> {
        let (key, id) = (self.key(&grant.name), lease_of(grant)?);
        let patience = (grant.lease / 4).min(Duration::from_secs(10));
        match self.container.renew(&key, id, patience).await {
            Ok(Kept::Yes) => Ok(()),
            Ok(Kept::No) => Err(Self::lost(&grant.name)),
            Err(failure) => Err(self.failed(failure, "cannot renew", &key)),
        }
    }

    async fn release(&self, grant: &LockGrant) -> Result<()> {
        let (key, id) = (self.key(&grant.name), lease_of(grant)?);
        match self.container.release(&key, id).await {
            // not held any more is as good
            Ok(Kept::Yes | Kept::No) => Ok(()),
            Err(failure) => Err(self.failed(failure, "cannot release", &key)),
        }
    }

    async fn inspect(&self, name: &LockName) -> Result<Option<LockInfo>> {
        let seen = self.look(&self.key(name)).await?;
        Ok(seen.map(|seen| seen.acquisition.info(seen.held)))
    }

    async fn list(&self) -> Result<Vec<LockInfo>> {
        let folder = self.backend.layout().locks();
        let leased = listed(Arc::clone(&self.container), folder)
            .try_filter(|lock| std::future::ready(lock.is_leased))
            .map_ok(|lock| async move { self.look(&lock.key).await });
        let seen: Vec<Option<Seen>> = leased.try_buffered(LIST_WIDTH).try_collect().await?;
        Ok(seen
            .into_iter()
            .flatten()
            .filter(|seen| seen.held)
            .map(|seen| seen.acquisition.info(true))
            .collect())
    }

    async fn break_lock(&self, name: &LockName, token: FencingToken) -> Result<()> {
        self.backend.check_writable()?;
        let key = self.key(name);
        let free = || {
            Error::not_found(format!("lock is free: {name}")).with_hint("there is nothing to break")
        };
        let Some(seen) = self.look(&key).await?.filter(|seen| seen.held) else {
            return Err(free());
        };
        let conflict = |actual: FencingToken| {
            Error::new(
                ErrorKind::Conflict { actual: None },
                format!(
                    "lock has another token: expected {}, found {}: {name}",
                    token.0, actual.0
                ),
            )
            .with_hint("look at the lock again: another holds it now")
        };
        if seen.acquisition.token != token {
            return Err(conflict(seen.acquisition.token));
        }
        match self.container.break_at(&key, seen.etag).await {
            Ok(Kept::Yes) => Ok(()),
            Ok(Kept::No) => match self.look(&key).await? {
                Some(now) if now.held => Err(conflict(now.acquisition.token)),
                _ => Err(free()),
            },
            Err(failure) => Err(self.failed(failure, "cannot break", &key)),
        }
    }
}
