//! A held lock: renewed in the background, given up before its lease can end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::{debug, warn};

use crate::backoff::BackOff;
use crate::clock::Environment;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{FencingToken, HolderId, LockName, MigrationId};
use crate::migration::lock::options::LockOptions;
use crate::store::{HolderState, LockAttempt, LockGrant, LockInfo, LockProvider, LockRequest};

/// Between failed requests for a lock. The timeout of the lock ends them.
const ACQUIRE: BackOff = BackOff::unlimited(Duration::from_millis(200), Duration::from_millis(200));

/// A held lock. Its heartbeat ends when the value is dropped.
///
/// The lock only avoids duplicate work of two migrators; safety does not depend on it.
#[derive(Debug)]
pub struct HeldLock {
    provider: Arc<dyn LockProvider>,
    environment: Environment,
    grant: LockGrant,
    lost: CancellationToken,
    /// End of the time that the lock is known to be held, in milliseconds of the monotonic clock.
    valid_until: Arc<AtomicU64>,
    _heartbeat: AbortOnDropHandle<()>,
}

/// A request for a lock.
#[derive(Debug, Clone)]
pub struct LockDemand {
    /// The lock.
    pub name: LockName,
    /// The process that requests it.
    pub holder: HolderId,
    /// The migration that needs the lock.
    pub migration: Option<MigrationId>,
    /// How long to wait, and how to hold it.
    pub options: LockOptions,
}

/// Returns the time without a renewal after which a lock counts as lost: three quarters of its
/// lease, such as 45 of 60 seconds. The rest is for a write that is still in flight.
fn given_up_after(lease: Duration) -> Duration {
    lease / 4 * 3
}

impl HeldLock {
    /// Acquires a lock. Waits for it at most [`LockOptions::timeout`].
    ///
    /// # Errors
    /// `LockHeld`, naming the holder and the time of its acquisition; those of the provider.
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
        let mut back_off = ACQUIRE;
        loop {
            // validity counts from before the request was sent
            let asked_at = clock.monotonic();
            let request = LockRequest {
                holder: demand.holder.clone(),
                lease: demand.options.lease,
                migration: demand.migration,
                at: clock.now(),
                process: None,
            };
            match provider.try_acquire(&demand.name, &request).await {
                Ok(LockAttempt::Acquired(grant)) => {
                    return Ok(Self::hold(provider, environment, &demand, grant, asked_at));
                }
                Ok(LockAttempt::Held(info)) if clock.monotonic() >= deadline => {
                    return Err(held(info, clock.now()));
                }
                Ok(LockAttempt::Held(info)) => {
                    debug!(lock = %demand.name, holder = %info.holder, "waiting for the lock");
                    clock.sleep(demand.options.poll()).await;
                }
                Err(e) if e.is_retryable() && clock.monotonic() < deadline => {
                    warn!(lock = %demand.name, error = %e, "acquiring the lock failed; retrying");
                    back_off.pause(environment).await;
                }
                Err(e) => return Err(e.context(format!("lock {}", demand.name))),
            }
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

    /// Returns the fencing token. It grows with every acquisition of this lock.
    pub fn token(&self) -> FencingToken {
        self.grant.token
    }

    /// Returns a token that is cancelled when the lock is lost.
    pub fn lost(&self) -> &CancellationToken {
        &self.lost
    }

    /// Checks whether the lock is still held, by the clock alone: without a request.
    ///
    /// # Errors
    /// `LockLost` if it is not.
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
        Error::new(ErrorKind::LockLost, message).with_hint("no event is lost; resume the migration")
    }

    /// Releases the lock.
    ///
    /// # Errors
    /// Those of the provider. The lock then expires.
    pub async fn release(self) -> Result<()> {
        drop(self._heartbeat);
        self.provider.release(&self.grant).await
    }
}

/// Returns the error that names the holder of a lock, and its last sign of life.
pub(crate) fn held(info: LockInfo, now: Timestamp) -> Error {
    if let Some(damage) = info.damage {
        return Error::corrupt(damage).with_hint(
            "break the lock if no process holds it; otherwise wait: a damaged lock expires too",
        );
    }
    let migration = info
        .migration
        .map_or(String::new(), |m| format!(" for migration {m}"));
    let renewed = info.silent_for(now).map_or(String::new(), |silence| {
        let dead = match info.holder_state(now) {
            HolderState::ProbablyDead => " (probably dead)",
            _ => "",
        };
        format!(", renewed {} s ago{dead}", silence.as_secs())
    });
    let message = format!(
        "lock {} is held by {}{migration} since {:.0}{renewed}, expires in {} s unless renewed",
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
            // sooner than the schedule, which a back-off would not be: two slow responses of a busy
            // store must not cost the lock
            pause = self.every / 5;
            match renewal {
                Some(Ok(())) => {
                    self.valid_until
                        .store(millis(sent_at + self.patience), Ordering::Release);
                    pause = self.every;
                }
                Some(Err(e)) if *e.kind() == ErrorKind::LockLost => {
                    warn!(lock = %self.grant.name, "the lock was taken over by another holder");
                    return self.lost.cancel();
                }
                Some(Err(e)) => {
                    warn!(lock = %self.grant.name, error = %e, "renewing the lock failed; retrying")
                }
                None => warn!(lock = %self.grant.name, "renewing the lock timed out; retrying"),
            }
            if millis(clock.monotonic()) >= self.valid_until.load(Ordering::Acquire) {
                warn!(lock = %self.grant.name, "the lock was not renewed in time");
                return self.lost.cancel();
            }
        }
    }
}
