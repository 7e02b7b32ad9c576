//! The trait of lock providers, and what others can see of a lock.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::id::{FencingToken, HolderId, LockName, MigrationId};
use crate::store::lock::process::HolderProcess;

/// A request for a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockRequest {
    /// The requesting process; others can read it.
    pub holder: HolderId,
    /// How long the lock holds without a renewal.
    pub lease: Duration,
    /// The migration that it is for; others can read it.
    pub migration: Option<MigrationId>,
    /// When it was requested; others can read it.
    pub at: Timestamp,
    /// Where the requesting process runs, if it is known; others can read it.
    pub process: Option<HolderProcess>,
}

/// What others can see of a lock: its newest acquisition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockInfo {
    /// The lock.
    pub name: LockName,
    /// Who holds it.
    pub holder: HolderId,
    /// The acquisition's number.
    pub token: FencingToken,
    /// The migration that it is held for.
    pub migration: Option<MigrationId>,
    /// When it was acquired, by the holder's clock.
    pub acquired_at: Timestamp,
    /// How long it holds without a renewal.
    pub lease: Duration,
    /// Whether it is held still, as far as this observer knows: neither released, nor broken, nor
    /// seen unchanged for a whole lease.
    pub held: bool,
    /// How much of the lease is left at most, as far as this observer knows; the whole lease for
    /// an observer that has just come. Zero when it is not held.
    pub expires_in: Duration,
    /// When it was last acquired or renewed, by the holder's wall clock. For people; absent where
    /// the provider does not know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renewed_at: Option<Timestamp>,
    /// Where the holder runs, if it said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<HolderProcess>,
    /// Whether the holder's process has certainly ended. Such a lock is not held.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub abandoned: bool,
    /// What is damaged, if the acquisition cannot be read. Then holder, migration and times are
    /// unknown; the token is the one to break the lock with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub damage: Option<String>,
}

/// Whether the holder of a lock is alive, as far as an observer knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum HolderState {
    /// Nobody holds the lock: it was released or broken, or has expired.
    Free,
    /// It renewed the lock within the last lease, by the wall clocks.
    Alive,
    /// The provider does not know when the lock was renewed.
    Unknown,
    /// It did not renew the lock for a whole lease, by the wall clocks, which may be wrong.
    ProbablyDead,
    /// Its process has certainly ended.
    Dead,
}

impl LockInfo {
    /// Describes an acquisition that is granted now: held, with the whole lease left.
    pub fn granted(name: &LockName, token: FencingToken, request: &LockRequest) -> Self {
        Self {
            name: name.clone(),
            holder: request.holder.clone(),
            token,
            migration: request.migration,
            acquired_at: request.at,
            lease: request.lease,
            held: true,
            expires_in: request.lease,
            renewed_at: None,
            process: request.process.clone(),
            abandoned: false,
            damage: None,
        }
    }

    /// Returns the time since the last renewal, by the wall clocks of holder and observer.
    pub fn silent_for(&self, now: Timestamp) -> Option<Duration> {
        let silence = now.duration_since(self.renewed_at?);
        Some(Duration::try_from(silence).unwrap_or_default())
    }

    /// Returns whether the holder is alive. `ProbablyDead` rests on wall clocks, so it is for people
    /// to read and for no decision.
    pub fn holder_state(&self, now: Timestamp) -> HolderState {
        if self.abandoned {
            return HolderState::Dead;
        }
        if !self.held {
            return HolderState::Free;
        }
        match self.silent_for(now) {
            None => HolderState::Unknown,
            Some(silence) if silence > self.lease => HolderState::ProbablyDead,
            Some(_) => HolderState::Alive,
        }
    }
}

/// A lock that was granted: what renewing and releasing need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockGrant {
    /// The lock.
    pub name: LockName,
    /// Who holds it.
    pub holder: HolderId,
    /// Grows with every acquisition of this lock.
    pub token: FencingToken,
    /// The lease that was granted.
    pub lease: Duration,
    /// The provider's own data.
    pub data: Bytes,
}

/// The outcome of a request for a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LockAttempt {
    /// The caller holds it now.
    Acquired(LockGrant),
    /// Another holds it.
    Held(LockInfo),
}

/// A distributed lock, as few calls without timers: esm-core waits, renews and gives up.
///
/// # Guarantees
/// 1. While a lock is held and renewed in time, nobody else acquires it.
/// 2. A lock that is not renewed for a whole lease can be acquired by another, at the latest one
///    further lease after that other began to ask.
/// 3. Tokens of one lock grow with every acquisition, also over releases.
#[async_trait]
pub trait LockProvider: Send + Sync + Debug + 'static {
    /// The provider's name, for messages.
    fn name(&self) -> &str;

    /// Requests the lock once, without waiting.
    ///
    /// # Idempotence
    /// After `Ambiguous` the lock may be held without a holder that knows of it; it then expires.
    async fn try_acquire(&self, name: &LockName, request: &LockRequest) -> Result<LockAttempt>;

    /// Renews a held lock for another lease.
    ///
    /// # Errors
    /// `LockLost` when another holds it or it was broken: final. Any other error means unknown,
    /// not lost.
    async fn renew(&self, grant: &LockGrant) -> Result<()>;

    /// Releases a held lock. A lock that is no longer held is left alone.
    async fn release(&self, grant: &LockGrant) -> Result<()>;

    /// The newest acquisition, held still or not: also a released one is remembered, with the
    /// migration it was for. Nothing when it was never acquired. Writes nothing.
    async fn inspect(&self, name: &LockName) -> Result<Option<LockInfo>>;

    /// All locks that are [`held`](LockInfo::held). Writes nothing.
    async fn list(&self) -> Result<Vec<LockInfo>>;

    /// Takes the lock away from whoever holds it with this token, for an operator who knows that
    /// the holder is dead. The holder notices at its next renewal. A lock whose acquisition is
    /// [damaged](LockInfo::damage) can be broken too.
    ///
    /// # Errors
    /// `Conflict` when the lock is held with another token; `NotFound` when it is free.
    async fn break_lock(&self, name: &LockName, token: FencingToken) -> Result<()>;
}
