//! The lock provider.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use esm_core::id::{FencingToken, LockName};
use esm_core::store::{LockAttempt, LockGrant, LockInfo, LockProvider, LockRequest};
use esm_core::{Error, ErrorKind, Result};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use tracing::warn;

use super::acquisition::{
    Acquisition, Damaged, Heartbeat, Numbered, decode_acquisition, decode_heartbeat, digest, encode,
};
use super::observed::{Observed, State};
use crate::backend::{Backend, Creation};
use crate::key::Key;
use crate::known::Known;
use crate::layout::{number, parse_number};
use crate::probe;
use crate::segment;

/// Attempts to acquire a lock when operators break it meanwhile.
const ATTEMPTS: u32 = 3;
/// The lease of an acquisition that cannot be read.
const LEASE_OF_DAMAGED: Duration = Duration::from_secs(60);
/// Locks that are read at once when all are listed.
const LIST_WIDTH: usize = 8;

/// What a lock has next.
enum Next {
    Free(u64),
    Held(Box<LockInfo>),
}

/// Locks over an object store.
///
/// The number of an acquisition is its fencing token. Acquiring, like breaking, takes the next
/// number by creating its object, so there is one winner; who finds a number above its own has
/// lost the lock.
#[derive(Debug)]
pub(crate) struct ObjectLocks {
    backend: Arc<Backend>,
    known: Known<LockName>,
    /// The first number of a lock that had none when this process looked.
    free: Known<LockName>,
    observed: Observed,
}

impl ObjectLocks {
    pub(crate) fn new(backend: Arc<Backend>) -> Self {
        Self {
            backend,
            known: Known::default(),
            free: Known::default(),
            observed: Observed::default(),
        }
    }

    fn acquisition_key(&self, name: &LockName, token: u64) -> Key {
        number(self.backend.layout().lock(name), token)
    }

    fn heartbeat_key(&self, name: &LockName, token: u64) -> Key {
        self.acquisition_key(name, token).with_suffix(".hb")
    }

    async fn numbered(&self, name: &LockName, token: u64) -> Result<Option<Numbered>> {
        let key = self.acquisition_key(name, token);
        let found = self.backend.get(&key).await?;
        Ok(found.map(|bytes| self.decode(name, &key, &bytes)))
    }

    fn decode(&self, name: &LockName, key: &Key, bytes: &[u8]) -> Numbered {
        let decoded = match decode_acquisition(bytes) {
            Ok(found) if found.name != *name => {
                Err(Error::corrupt(format!("it is of lock {}", found.name)))
            }
            // breaking keeps the number of what it breaks
            Ok(found) if !found.broken && parse_number(key.name()) != Some(found.token.0) => Err(
                Error::corrupt(format!("it is acquisition {}", found.token.0)),
            ),
            decoded => decoded,
        };
        match decoded {
            Ok(acquisition) => Numbered::Acquisition(acquisition),
            Err(error) => {
                warn!(lock = self.backend.place(key), %error, "lock is damaged");
                Numbered::Damaged(Damaged {
                    error: Arc::new(error.context(format!("lock {}", self.backend.place(key)))),
                    digest: digest(bytes),
                })
            }
        }
    }

    /// What can be seen of a listed lock. Nothing for one that is gone by now, or whose name cannot
    /// be read.
    async fn listed(&self, token: u64, key: &Key) -> Result<Option<LockInfo>> {
        let Some(bytes) = self.backend.get(key).await? else {
            return Ok(None);
        };
        let folder = key.folder().and_then(|folder| folder.rsplit('/').next());
        let whole = folder.and_then(segment::decode);
        let name = match whole.and_then(|name| LockName::new(name).ok()) {
            Some(name) => name,
            // the name was too long for a segment
            None => match decode_acquisition(&bytes) {
                Ok(acquisition) => acquisition.name,
                Err(error) => {
                    warn!(lock = self.backend.place(key), %error, "lock is damaged");
                    return Ok(None);
                }
            },
        };
        let last = self.decode(&name, key, &bytes);
        self.look(&name, token, &last).await.map(Some)
    }

    /// A heartbeat only informs, so a damaged one fails nothing: the lock then expires.
    async fn heartbeat(&self, name: &LockName, token: u64) -> Result<Option<Heartbeat>> {
        let key = self.heartbeat_key(name, token);
        let Some(bytes) = self.backend.get(&key).await? else {
            return Ok(None);
        };
        Ok(Some(decode_heartbeat(&bytes, name, token).unwrap_or_else(
            |error| {
                warn!(heartbeat = self.backend.place(&key), %error, "heartbeat is damaged");
                Heartbeat::damaged(&bytes)
            },
        )))
    }

    async fn beat(&self, name: &LockName, token: u64, released: bool) -> Result<()> {
        let environment = self.backend.environment();
        let (nonce, now) = (environment.uuid_v4(), environment.clock.now());
        let heartbeat = encode(&Heartbeat::new(name, token, nonce, released, now))?;
        let key = self.heartbeat_key(name, token);
        self.backend.overwrite(&key, &heartbeat).await
    }

    /// The last number that was taken, and by what.
    async fn latest(&self, name: &LockName) -> Result<Option<(u64, Numbered)>> {
        let base = self.known.get(name).unwrap_or(0);
        let at = |token| async move { self.numbered(name, token).await };
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

    /// What can be seen of a lock's last number. A damaged one expires like any other.
    async fn look(&self, name: &LockName, token: u64, last: &Numbered) -> Result<LockInfo> {
        let heartbeat = match last {
            Numbered::Acquisition(last) if last.broken => {
                return Ok(last.info(Duration::ZERO, None));
            }
            _ => self.heartbeat(name, token).await?,
        };
        let (nonce, lease) = match last {
            Numbered::Acquisition(last) => (last.nonce, last.lease()),
            Numbered::Damaged(damaged) => (damaged.digest, LEASE_OF_DAMAGED),
        };
        let left = if heartbeat.as_ref().is_some_and(|last| last.released) {
            Duration::ZERO
        } else {
            let state = State {
                acquisition: nonce,
                heartbeat: heartbeat.as_ref().map(|last| last.nonce),
            };
            let now = self.backend.environment().clock.monotonic();
            lease.saturating_sub(self.observed.since(name, state, now))
        };
        match last {
            Numbered::Acquisition(last) => Ok(last.info(left, heartbeat.as_ref())),
            Numbered::Damaged(damaged) => damaged.info(name, token, lease, left),
        }
    }

    /// The number to take, unless the lock is held.
    async fn next(&self, name: &LockName) -> Result<Next> {
        let Some((token, last)) = self.latest(name).await? else {
            return Ok(Next::Free(0));
        };
        let info = self.look(name, token, &last).await?;
        Ok(if info.held {
            Next::Held(Box::new(info))
        } else {
            Next::Free(token + 1)
        })
    }

    /// Takes a number.
    async fn take(&self, key: &Key, acquisition: &Acquisition) -> Result<Creation> {
        let is_mine = |found: &Bytes| {
            let found = self.decode(&acquisition.name, key, found);
            Ok(matches!(found, Numbered::Acquisition(found) if found.nonce == acquisition.nonce))
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
        // who has found that it was never taken need not inspect it twice: the number has one winner
        let mut free = self.free.take(name);
        let mut attempt = 1;
        loop {
            let is_guess = free.is_some();
            let token = match free.take() {
                Some(token) => token,
                None => match self.next(name).await? {
                    Next::Free(token) => token,
                    Next::Held(info) => return Ok(LockAttempt::Held(*info)),
                },
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
                Creation::Taken(_) if is_guess => continue,
                Creation::Taken(others) => self.decode(name, &key, &others),
            };
            let was_broken = matches!(&taken, Numbered::Acquisition(taken) if taken.broken);
            if attempt == ATTEMPTS || !was_broken {
                return Ok(LockAttempt::Held(self.look(name, token, &taken).await?));
            }
            attempt += 1;
        }
    }

    async fn renew(&self, grant: &LockGrant) -> Result<()> {
        let (name, token) = (&grant.name, grant.token.0);
        // a lock whose storage was removed or moved away must not be made anew
        if !self
            .backend
            .exists(&self.acquisition_key(name, token))
            .await?
        {
            return Err(Self::lost(name));
        }
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
            Some((token, last)) => self.look(name, token, &last).await.map(Some),
            None => {
                // a holder that has fallen silent may wake up, so only this is remembered
                self.free.note(name, 0);
                Ok(None)
            }
        }
    }

    async fn list(&self) -> Result<Vec<LockInfo>> {
        let seen = stream::iter(self.last_keys().await?)
            .map(|(token, key)| async move { self.listed(token, &key).await });
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
        let Some((last, found)) = self.latest(name).await? else {
            return Err(free());
        };
        let seen = self.look(name, last, &found).await?;
        if !seen.held && seen.damage.is_none() {
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
        let breaking = Acquisition::breaking(&seen, self.backend.environment().uuid_v4());
        let creation = self.take(&key, &breaking).await?;
        self.known.note(name, last + 1);
        match creation {
            Creation::Created => Ok(()),
            Creation::Taken(_) => Err(conflict(FencingToken(last + 1))),
        }
    }
}
