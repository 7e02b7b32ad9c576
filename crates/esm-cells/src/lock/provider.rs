//! The lock provider.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use esm_core::id::{FencingToken, LockName};
use esm_core::store::{LockAttempt, LockGrant, LockInfo, LockProvider, LockRequest};
use esm_core::{Error, ErrorKind, Result};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};

use super::acquisition::{Acquisition, Heartbeat, decode_acquisition, decode_heartbeat, encode};
use super::observed::Observed;
use crate::backend::{Backend, Creation};
use crate::key::Key;
use crate::known::Known;
use crate::layout::{number, parse_number};
use crate::probe;

/// Attempts to acquire a lock when operators break it meanwhile.
const ATTEMPTS: u32 = 3;
/// Locks that are read at once when all are listed.
const LIST_WIDTH: usize = 8;

/// Locks over an object store.
///
/// The number of an acquisition is its fencing token. Acquiring, like breaking, takes the next
/// number by creating its object, so there is one winner; who finds a number above its own has
/// lost the lock.
#[derive(Debug)]
pub(crate) struct ObjectLocks {
    backend: Arc<Backend>,
    known: Known<LockName>,
    observed: Observed,
}

impl ObjectLocks {
    pub(crate) fn new(backend: Arc<Backend>) -> Self {
        Self {
            backend,
            known: Known::default(),
            observed: Observed::default(),
        }
    }

    fn acquisition_key(&self, name: &LockName, token: u64) -> Key {
        number(self.backend.layout().lock(name), token)
    }

    fn heartbeat_key(&self, name: &LockName, token: u64) -> Key {
        self.acquisition_key(name, token).with_suffix(".hb")
    }

    async fn acquisition(&self, key: &Key) -> Result<Option<Acquisition>> {
        match self.backend.get(key).await? {
            Some(bytes) => self.decode(key, &bytes).map(Some),
            None => Ok(None),
        }
    }

    fn decode(&self, key: &Key, bytes: &[u8]) -> Result<Acquisition> {
        decode_acquisition(bytes)
            .map_err(|e| e.context(format!("lock {}", self.backend.place(key))))
    }

    async fn heartbeat(&self, name: &LockName, token: u64) -> Result<Option<Heartbeat>> {
        let key = self.heartbeat_key(name, token);
        let Some(bytes) = self.backend.get(&key).await? else {
            return Ok(None);
        };
        decode_heartbeat(&bytes)
            .map(Some)
            .map_err(|e| e.context(format!("heartbeat {}", self.backend.place(&key))))
    }

    async fn beat(&self, name: &LockName, token: u64, released: bool) -> Result<()> {
        let nonce = self.backend.environment().uuid_v4();
        let heartbeat = encode(&Heartbeat::new(nonce, released))?;
        let key = self.heartbeat_key(name, token);
        self.backend.overwrite(&key, &heartbeat).await
    }

    /// The last number that was taken, and by what.
    async fn latest(&self, name: &LockName) -> Result<Option<(u64, Acquisition)>> {
        let base = self.known.get(name).unwrap_or(0);
        let at = |token| async move { self.acquisition(&self.acquisition_key(name, token)).await };
        // most locks that are inspected were never taken
        let mut last = probe::last_if_any(base, at).await?;
        if last.is_none() && base > 0 {
            // somebody removed the lock's objects by hand
            self.known.forget(name);
            last = probe::last_if_any(0, at).await?;
        }
        if let Some(found) = &last {
            self.known.note(name, found.number);
        }
        Ok(last.map(|found| (found.number, found.object)))
    }

    /// What can be seen of a lock's last number.
    async fn look(&self, token: u64, acquisition: &Acquisition) -> Result<LockInfo> {
        if acquisition.broken {
            return Ok(acquisition.info(Duration::ZERO));
        }
        let name = &acquisition.name;
        let heartbeat = self.heartbeat(name, token).await?;
        if heartbeat.as_ref().is_some_and(|last| last.released) {
            return Ok(acquisition.info(Duration::ZERO));
        }
        let state = (acquisition.nonce, heartbeat.map(|last| last.nonce));
        let now = self.backend.environment().clock.monotonic();
        let unchanged = self.observed.since(name, state, now);
        Ok(acquisition.info(acquisition.lease().saturating_sub(unchanged)))
    }

    /// Takes a number.
    async fn take(&self, key: &Key, acquisition: &Acquisition) -> Result<Creation> {
        let is_mine = |found: &Bytes| {
            let found = self.decode(key, found)?;
            Ok(found.nonce == acquisition.nonce)
        };
        self.backend
            .create(key, &encode(acquisition)?, is_mine)
            .await
    }

    /// Of each lock, the key of the last number.
    async fn last_keys(&self) -> Result<Vec<(u64, Key)>> {
        let mut all: Vec<(u64, Key)> = Vec::new();
        let mut objects = self.backend.list(&self.backend.layout().locks());
        while let Some(key) = objects.try_next().await? {
            let Some(token) = parse_number(key.name()) else {
                continue;
            };
            match all.last_mut() {
                // numbers of one lock come one after the other, sorted or not
                Some((last, known)) if known.folder() == key.folder() => {
                    if token > *last {
                        (*last, *known) = (token, key);
                    }
                }
                _ => all.push((token, key)),
            }
        }
        Ok(all)
    }

    fn lost(name: &LockName) -> Error {
        Error::new(
            ErrorKind::LockLost,
            format!("lock was taken over or broken: {name}"),
        )
    }
}

#[async_trait]
impl LockProvider for ObjectLocks {
    fn name(&self) -> &str {
        "object store"
    }

    async fn try_acquire(&self, name: &LockName, request: &LockRequest) -> Result<LockAttempt> {
        self.backend.check_writable()?;
        let mut attempt = 1;
        loop {
            let latest = self.latest(name).await?;
            let token = match &latest {
                None => 0,
                Some((token, acquisition)) => {
                    let info = self.look(*token, acquisition).await?;
                    if info.held {
                        return Ok(LockAttempt::Held(info));
                    }
                    token + 1
                }
            };
            let nonce = self.backend.environment().uuid_v4();
            let acquisition = Acquisition::new(name, token, request, nonce);
            let key = self.acquisition_key(name, token);
            let taken = match self.take(&key, &acquisition).await? {
                Creation::Created => {
                    self.known.note(name, token);
                    return Ok(LockAttempt::Acquired(LockGrant {
                        name: name.clone(),
                        holder: request.holder.clone(),
                        token: FencingToken(token),
                        lease: acquisition.lease(),
                        data: Bytes::new(),
                    }));
                }
                Creation::Taken(others) => self.decode(&key, &others)?,
            };
            if attempt == ATTEMPTS || !taken.broken {
                return Ok(LockAttempt::Held(self.look(token, &taken).await?));
            }
            attempt += 1;
        }
    }

    async fn renew(&self, grant: &LockGrant) -> Result<()> {
        let (name, token) = (&grant.name, grant.token.0);
        let last = self.heartbeat(name, token).await?;
        if last.is_some_and(|last| last.released) {
            return Err(Self::lost(name));
        }
        self.beat(name, token, false).await?;
        // Read after the heartbeat: a process that takes the lock over sees either this heartbeat,
        // or has taken the next number before, which is then seen here. A heartbeat below a later
        // number means nothing to anybody.
        let next = self.acquisition_key(name, token + 1);
        if self.backend.exists(&next).await? {
            return Err(Self::lost(name));
        }
        Ok(())
    }

    async fn release(&self, grant: &LockGrant) -> Result<()> {
        // below a later number it means nothing, so nobody else's lock is touched
        self.beat(&grant.name, grant.token.0, true).await
    }

    async fn inspect(&self, name: &LockName) -> Result<Option<LockInfo>> {
        match self.latest(name).await? {
            Some((token, acquisition)) => self.look(token, &acquisition).await.map(Some),
            None => Ok(None),
        }
    }

    async fn list(&self) -> Result<Vec<LockInfo>> {
        let seen = stream::iter(self.last_keys().await?).map(|(token, key)| async move {
            match self.acquisition(&key).await? {
                Some(acquisition) => self.look(token, &acquisition).await.map(Some),
                None => Ok(None),
            }
        });
        let seen: Vec<Option<LockInfo>> = seen.buffered(LIST_WIDTH).try_collect().await?;
        Ok(seen
            .into_iter()
            .flatten()
            .filter(|info| info.held)
            .collect())
    }

    async fn break_lock(&self, name: &LockName, token: FencingToken) -> Result<()> {
        self.backend.check_writable()?;
        let free = || {
            Error::not_found(format!("lock is free: {name}")).with_hint("there is nothing to break")
        };
        let Some((last, acquisition)) = self.latest(name).await? else {
            return Err(free());
        };
        if !self.look(last, &acquisition).await?.held {
            return Err(free());
        }
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
        if last != token.0 {
            return Err(conflict(FencingToken(last)));
        }
        let key = self.acquisition_key(name, last + 1);
        let breaking = acquisition.breaking(self.backend.environment().uuid_v4());
        let creation = self.take(&key, &breaking).await?;
        self.known.note(name, last + 1);
        match creation {
            Creation::Created => Ok(()),
            Creation::Taken(_) => Err(conflict(FencingToken(last + 1))),
        }
    }
}
