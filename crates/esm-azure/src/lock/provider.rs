//! The lock provider.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use azure_core::http::Etag;
use bytes::Bytes;
use esm_cells::{Backend, Key};
use esm_core::clock::Environment;
use esm_core::id::{FencingToken, LockName};
use esm_core::store::{Lane, LockAttempt, LockGrant, LockInfo, LockProvider, LockRequest};
use esm_core::{Error, ErrorKind, Result};
use futures::stream::TryStreamExt as _;
use tracing::warn;
use uuid::Uuid;

use super::acquisition::{Acquisition, damaged};
use super::lease::{Kept, Leased, seconds};
use crate::blob::Condition;
use crate::container::{Container, REQUEST};
use crate::failure::Failure;
use crate::list::listed;

/// Locks that are read at once when all are listed.
const LIST_WIDTH: usize = 8;
/// Attempts to acquire a lock when another process wins the race.
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
    contents: Contents,
    etag: Option<Etag>,
    held: bool,
}

/// What a lock's blob says.
enum Contents {
    Acquisition(Acquisition),
    /// It cannot be read. Whether it is leased, the service knows all the same.
    Damaged(Error),
}

impl Seen {
    fn info(&self, name: &LockName) -> Result<LockInfo> {
        match &self.contents {
            Contents::Acquisition(acquisition) => Ok(acquisition.info(self.held)),
            Contents::Damaged(error) => damaged(name, error, self.held),
        }
    }

    /// The number of the next acquisition. Where the last one cannot be read, a number that no count
    /// of acquisitions reaches: the milliseconds of the clock.
    fn next_token(&self, environment: &Environment) -> u64 {
        match &self.contents {
            Contents::Acquisition(acquisition) => acquisition.token.0 + 1,
            Contents::Damaged(_) => {
                u64::try_from(environment.clock.now().as_millisecond()).unwrap_or(0)
            }
        }
    }
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
        let turn = Lane::turn().await;
        let found = self.container.read(key, None).await;
        drop(turn);
        let Some(found) = found.map_err(|e| self.failed(e, "cannot read", key))? else {
            return Ok(None);
        };
        let contents = match Acquisition::decode(&found.body) {
            Ok(acquisition) => Contents::Acquisition(acquisition),
            Err(e) => Contents::Damaged(e.context(format!("lock {}", self.container.place(key)))),
        };
        Ok(Some(Seen {
            contents,
            etag: found.etag,
            held: found.is_leased,
        }))
    }

    /// Makes the blob of a lock that was never acquired; it says already what it says once the
    /// lease is granted. Nothing when there is one by now, or may be.
    async fn make(
        &self,
        key: &Key,
        name: &LockName,
        id: Uuid,
        request: &LockRequest,
    ) -> Result<Option<Seen>> {
        let acquisition = Acquisition::new(name, id, 0, request);
        let body = acquisition.encode()?;
        let turn = Lane::turn().await;
        let written = self.container.write(key, body, &Condition::Absent).await;
        drop(turn);
        match written {
            Ok(etag) => Ok(Some(Seen {
                contents: Contents::Acquisition(acquisition),
                etag,
                held: false,
            })),
            // reading shows whether it exists now
            Err(failure) if failure.is_conflict() => Ok(None),
            Err(failure) => {
                let mut back_off = REQUEST;
                if failure.is_transient() && self.container.pause(&mut back_off, &failure).await {
                    return Ok(None);
                }
                Err(self.failed(failure, "cannot write", key))
            }
        }
    }

    /// Asks for the lease of a blob that was seen, and says in the blob who holds it. `None`
    /// when another process won the race.
    async fn acquire(
        &self,
        key: &Key,
        name: &LockName,
        mut seen: Seen,
        id: Uuid,
        seconds: i32,
        request: &LockRequest,
    ) -> Result<Option<Acquisition>> {
        let asked = self.container.acquire(key, id, seconds).await;
        let state = match asked.map_err(|e| self.failed(e, "cannot acquire", key))? {
            Leased::Granted(etag) => etag,
            Leased::Held | Leased::NoBlob => return Ok(None),
        };
        if state.is_none() || state != seen.etag {
            match self.look(key).await? {
                Some(now) => seen = now,
                None => return Ok(None),
            }
        }
        let token = seen.next_token(self.container.environment());
        if let Contents::Acquisition(made) = seen.contents
            && made.lease == id
        {
            // made by this very call, and acquired by nobody in between
            return Ok(Some(made));
        }
        let acquisition = Acquisition::new(name, id, token, request);
        let signed = self.sign(key, &acquisition).await?;
        Ok(signed.map(|()| acquisition))
    }

    /// Says in the blob who holds the lease. Nothing when the lease was lost meanwhile.
    async fn sign(&self, key: &Key, acquisition: &Acquisition) -> Result<Option<()>> {
        let condition = Condition::Leased(acquisition.lease.to_string());
        let body = acquisition.encode()?;
        let mut back_off = REQUEST;
        loop {
            let turn = Lane::turn().await;
            let written = self.container.write(key, body.clone(), &condition).await;
            drop(turn);
            let failure = match written {
                Ok(_) => return Ok(Some(())),
                Err(failure) => failure,
            };
            if failure.is_conflict() || failure.is_missing_blob() {
                return Ok(None);
            }
            // under the lease the very same write may be repeated
            if !failure.is_transient() || !self.container.pause(&mut back_off, &failure).await {
                return Err(self.failed(failure, "cannot write", key));
            }
        }
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

    /// The blob is read before its lease is asked for: it shows whether there is one, its holder,
    /// and which number comes next. What was read counts if the blob is in the same state once the
    /// lease is granted; nobody else writes it from then on.
    async fn try_acquire(&self, name: &LockName, request: &LockRequest) -> Result<LockAttempt> {
        self.backend.check_writable()?;
        let seconds = seconds(request.lease)?;
        let key = self.key(name);
        for _ in 0..ATTEMPTS {
            // a lease that was lost before anybody knew of it is not asked for again
            let id = self.container.environment().uuid_v4();
            let seen = match self.look(&key).await? {
                Some(seen) if seen.held => {
                    return Ok(LockAttempt::Held(seen.info(name)?));
                }
                Some(seen) => seen,
                None => match self.make(&key, name, id, request).await? {
                    Some(made) => made,
                    None => continue,
                },
            };
            let acquired = self.acquire(&key, name, seen, id, seconds, request).await;
            if acquired.is_err() {
                // a lease that nobody knows of would lock everybody out until it ends
                let _ = self.container.release(&key, id).await;
            }
            if let Some(acquisition) = acquired? {
                return Ok(grant(&acquisition, request));
            }
        }
        Err(Error::new(
            ErrorKind::Unavailable,
            format!("lock changes hands again and again: {name}"),
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
        seen.map(|seen| seen.info(name)).transpose()
    }

    async fn list(&self) -> Result<Vec<LockInfo>> {
        let folder = self.backend.layout().locks();
        let leased = listed(Arc::clone(&self.container), folder)
            .try_filter(|lock| std::future::ready(lock.is_leased))
            .map_ok(|lock| async move { self.look(&lock.key).await });
        let seen: Vec<Option<Seen>> = leased.try_buffered(LIST_WIDTH).try_collect().await?;
        let held = seen.into_iter().flatten().filter(|seen| seen.held);
        Ok(held
            .filter_map(|seen| match seen.contents {
                Contents::Acquisition(acquisition) => Some(acquisition.info(true)),
                // the name is in what cannot be read
                Contents::Damaged(error) => {
                    warn!(%error, "a held lock cannot be listed");
                    None
                }
            })
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
        let held_with = seen.info(name)?.token;
        if held_with != token {
            return Err(conflict(held_with));
        }
        match self.container.break_at(&key, seen.etag).await {
            Ok(Kept::Yes) => Ok(()),
            Ok(Kept::No) => match self.look(&key).await? {
                Some(now) if now.held => Err(conflict(now.info(name)?.token)),
                _ => Err(free()),
            },
            Err(failure) => Err(self.failed(failure, "cannot break", &key)),
        }
    }
}
