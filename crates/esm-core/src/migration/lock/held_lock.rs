//! A lock that is held: renewed in the background, given up in time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::{debug, warn};

use crate::clock::Environment;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{FencingToken, HolderId, LockName, MigrationId};
use crate::migration::lock::options::LockOptions;
use crate::store::{LockAttempt, LockGrant, LockInfo, LockProvider, LockRequest};

/// A lock that is held, with a heartbeat that ends when this is dropped.
///
/// Losing it loses nothing but time: it is there so that two migrators do not do the same work.
#[derive(Debug)]
pub struct HeldLock {
    provider: Arc<dyn LockProvider>,
    environment: Environment,
    grant: LockGrant,
    lost: CancellationToken,
    /// Until when it certainly holds, in milliseconds of the monotonic clock.
    valid_until: Arc<AtomicU64>,
    _heartbeat: AbortOnDropHandle<()>,
}

/// Who asks for a lock, and for what.
#[derive(Debug, Clone)]
pub struct LockDemand {
    /// The lock.
    pub name: LockName,
    /// Who asks.
    pub holder: HolderId,
    /// For which migration.
    pub migration: Option<MigrationId>,
    /// How.
    pub options: LockOptions,
}

/// A lock counts as lost when it was not renewed for three quarters of its lease: 45 of 60
/// seconds. The rest is for a write that is still under way.
fn given_up_after(lease: Duration) -> Duration {
    lease / 4 * 3
}

impl HeldLock {
    /// Waits for a lock, at most as long as the options say.
    ///
    /// # Errors
    /// `LockHeld`, naming the holder, since when, and what to do.
    ///
    /// # Cancel safety
    /// A lock that was granted to a dropped future expires.
    pub async fn acquire(
        provider: Arc<dyn LockProvider>,
        environment: &Environment,
        demand: LockDemand,
    ) -> Result<Self> {
        let clock = &environment.clock;
        let deadline = clock.monotonic() + demand.options.timeout;
        loop {
            // validity counts from before the request was sent
            let asked_at = clock.monotonic();
            let request = LockRequest {
                holder: demand.holder.clone(),
                lease: demand.options.lease,
                migration: demand.migration,
                at: clock.now(),
            };
            let wait = match provider.try_acquire(&demand.name, &request).await {
                Ok(LockAttempt::Acquired(grant)) => {
                    return Ok(Self::hold(provider, environment, &demand, grant, asked_at));
                }
                Ok(LockAttempt::Held(info)) if clock.monotonic() >= deadline => {
                    return Err(held(info));
                }
                Ok(LockAttempt::Held(info)) => {
                    debug!(lock = %demand.name, holder = %info.holder, "waiting for the lock");
                    (demand.options.lease / 10).min(Duration::from_secs(1))
                }
                Err(e) if e.is_retryable() && clock.monotonic() < deadline => {
                    warn!(lock = %demand.name, error = %e, "asking for the lock failed");
                    environment.jittered(Duration::from_millis(200))
                }
                Err(e) => return Err(e.context(format!("lock {}", demand.name))),
            };
            clock.sleep(wait.max(Duration::from_millis(10))).await;
        }
    }

    fn hold(
        provider: Arc<dyn LockProvider>,
        environment: &Environment,
        demand: &LockDemand,
        grant: LockGrant,
        asked_at: Duration,
    ) -> Self {
        let lost = CancellationToken::new();
        let patience = given_up_after(demand.options.lease);
        let valid_until = Arc::new(AtomicU64::new(millis(asked_at + patience)));
        let heartbeat = Heartbeat {
            provider: Arc::clone(&provider),
            environment: environment.clone(),
            grant: grant.clone(),
            lost: lost.clone(),
            valid_until: Arc::clone(&valid_until),
            every: demand.options.heartbeat,
            patience,
        };
        Self {
            provider,
            environment: environment.clone(),
            grant,
            lost,
            valid_until,
            _heartbeat: AbortOnDropHandle::new(tokio::spawn(heartbeat.run())),
        }
    }

    /// Grows with every acquisition of this lock.
    pub fn token(&self) -> FencingToken {
        self.grant.token
    }

    /// Is cancelled when the lock is lost.
    pub fn lost(&self) -> &CancellationToken {
        &self.lost
    }

    /// Says at once, without asking anybody, whether the lock is held.
    ///
    /// # Errors
    /// `LockLost`.
    pub fn ensure_held(&self) -> Result<()> {
        let now = millis(self.environment.clock.monotonic());
        if self.lost.is_cancelled() || now >= self.valid_until.load(Ordering::Acquire) {
            self.lost.cancel();
            return Err(self.lost_error());
        }
        Ok(())
    }

    pub(crate) fn lost_error(&self) -> Error {
        let message = format!("the lock was lost: {}", self.grant.name);
        Error::new(ErrorKind::LockLost, message).with_hint("nothing is lost; resume the migration")
    }

    /// Gives the lock back.
    ///
    /// # Errors
    /// Those of the provider; the lock then expires by itself.
    pub async fn release(self) -> Result<()> {
        drop(self._heartbeat);
        self.provider.release(&self.grant).await
    }
}

/// The error that says who holds a lock.
pub(crate) fn held(info: LockInfo) -> Error {
    let migration = info
        .migration
        .map_or(String::new(), |m| format!(" for migration {m}"));
    let message = format!(
        "lock {} is held by {}{migration} since {}, expires in {} s unless renewed",
        info.name,
        info.holder,
        info.acquired_at,
        info.expires_in.as_secs()
    );
    Error::new(ErrorKind::LockHeld(Box::new(info)), message).with_hint(
        "wait for it (a longer lock timeout), or break the lock if its holder is certainly dead",
    )
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

struct Heartbeat {
    provider: Arc<dyn LockProvider>,
    environment: Environment,
    grant: LockGrant,
    lost: CancellationToken,
    valid_until: Arc<AtomicU64>,
    every: Duration,
    patience: Duration,
}

impl Heartbeat {
    async fn run(self) {
        let clock = Arc::clone(&self.environment.clock);
        let mut pause = self.every;
        loop {
            clock.sleep(pause).await;
            let sent_at = clock.monotonic();
            // a renewal that hangs must not outlive the lease
            let renewal = tokio::select! {
                renewal = self.provider.renew(&self.grant) => Some(renewal),
                () = clock.sleep(self.every) => None,
            };
            // a busy store must not take the lock away with two slow answers
            pause = self.every / 5;
            match renewal {
                Some(Ok(())) => {
                    self.valid_until
                        .store(millis(sent_at + self.patience), Ordering::Release);
                    pause = self.every;
                }
                Some(Err(e)) if *e.kind() == ErrorKind::LockLost => {
                    warn!(lock = %self.grant.name, "the lock was taken away");
                    return self.lost.cancel();
                }
                Some(Err(e)) => warn!(lock = %self.grant.name, error = %e, "renewal failed"),
                None => warn!(lock = %self.grant.name, "renewal timed out"),
            }
            if millis(clock.monotonic()) >= self.valid_until.load(Ordering::Acquire) {
                warn!(lock = %self.grant.name, "the lock was not renewed in time");
                return self.lost.cancel();
            }
        }
    }
}
