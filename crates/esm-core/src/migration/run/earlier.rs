//! Whether a migration may begin: earlier ones of the same objects, by their locks and journals.

use futures::future;
use tracing::{debug, warn};

use crate::error::{Error, ErrorKind, Result};
use crate::id::LockName;
use crate::migration::describe::options::RunOptions;
use crate::migration::journal::Journal;
use crate::migration::lock::held_lock::held;
use crate::migration::lock::options::LockOptions;
use crate::migration::lock::scope::{lock_name, wider_locks};
use crate::migration::service::MigrationService;
use crate::protocol::journal::JournalState;
use crate::protocol::plan::{PlannedMigration, Scope};
use crate::store::LockInfo;

/// The locks that a migration depends on, as they were just inspected.
#[derive(Debug)]
pub(crate) struct InspectedLocks {
    own: Option<LockInfo>,
    /// Locks of wider scopes that are held.
    wider_held: Vec<LockName>,
}

impl MigrationService {
    /// Inspects the locks that a migration of this scope depends on.
    ///
    /// # Errors
    /// Those of the locks.
    pub(crate) async fn inspect_locks(&self, scope: &Scope) -> Result<InspectedLocks> {
        let (own, wider) = (lock_name(scope)?, wider_locks(scope)?);
        let seen = future::try_join_all(wider.iter().map(|lock| self.locks.inspect(lock)));
        let (seen, own) = future::try_join(seen, self.locks.inspect(&own)).await?;
        let held = |info: Option<LockInfo>| info.is_some_and(|info| info.held);
        let wider = wider.into_iter().zip(seen);
        let wider_held = wider.filter_map(|(lock, info)| held(info).then_some(lock));
        Ok(InspectedLocks {
            own,
            wider_held: wider_held.collect(),
        })
    }

    /// Refuses to begin while a migration of the same scope is unfinished.
    ///
    /// # Errors
    /// `LockHeld` or `AlreadyExists`: that migration must be resumed or rolled back first.
    pub(super) async fn refuse_if_unfinished(
        &self,
        mut locks: InspectedLocks,
        plan: &PlannedMigration,
        options: &RunOptions,
    ) -> Result<()> {
        for lock in locks.wider_held {
            tokio::select! {
                free = self.wait_until_free(&lock, &options.lock) => free?,
                () = options.cancel.cancelled() => return Err(stopped_waiting()),
            }
            // time has passed
            locks.own = self.locks.inspect(&lock_name(&plan.scope)?).await?;
        }
        let Some(info) = locks.own else {
            return Ok(());
        };
        let Some(earlier) = self.earlier(&info).await? else {
            return Ok(());
        };
        if earlier.state().outcome.is_some() && info.held {
            // the release did not arrive, or cannot be read; nobody needs the lock any more
            let broken = self.locks.break_lock(&info.name, info.token).await;
            if let Err(error) = broken {
                debug!(lock = %info.name, %error, "another process was first to take the lock");
            }
        }
        ensure_ended(earlier.state(), info, &plan.scope)
    }

    /// Refuses as a migration of this scope would be refused now because of an unfinished one. Writes
    /// nothing.
    ///
    /// # Errors
    /// `LockHeld` or `AlreadyExists`, naming that migration; those of the locks and the records.
    pub(crate) async fn ensure_first(&self, scope: &Scope) -> Result<()> {
        let Some(info) = self.locks.inspect(&lock_name(scope)?).await? else {
            return Ok(());
        };
        match self.earlier(&info).await? {
            Some(earlier) => ensure_ended(earlier.state(), info, scope),
            None => Ok(()),
        }
    }

    /// The journal of the migration that took a lock last, unless it is damaged.
    ///
    /// # Errors
    /// `LockHeld` if a process holds the lock for a migration with a damaged journal.
    async fn earlier(&self, info: &LockInfo) -> Result<Option<Journal>> {
        let Some(earlier) = info.migration else {
            return Ok(None);
        };
        match self.journal(earlier).await {
            Ok(journal) => Ok(Some(journal)),
            Err(damage) if *damage.kind() == ErrorKind::Corrupt => {
                if info.held {
                    let now = self.environment.clock.now();
                    return Err(held(info.clone(), now).with_source(damage));
                }
                // it can never be resumed; the streams say all that this migration needs
                warn!(%earlier, %damage, "an earlier migration of these objects is damaged");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Waits for the holder of a wider lock, up to the timeout of the own lock. Only after a whole
    /// lease does an unrenewed lock prove that its holder died. A migration that has ended does not
    /// block, even if its lock was never released.
    async fn wait_until_free(&self, lock: &LockName, options: &LockOptions) -> Result<()> {
        let clock = &self.environment.clock;
        let deadline = clock.monotonic() + options.timeout;
        loop {
            let seen = self.locks.inspect(lock).await?;
            let Some(info) = seen.filter(|info| info.held) else {
                return Ok(());
            };
            if self.is_left_over(&info).await? {
                return Ok(());
            }
            if clock.monotonic() >= deadline {
                return Err(held(info, clock.now()));
            }
            clock.sleep(options.poll()).await;
        }
    }

    /// Whether a lock was never released by a migration that has ended.
    async fn is_left_over(&self, info: &LockInfo) -> Result<bool> {
        let Some(migration) = info.migration else {
            return Ok(false);
        };
        match self.journal(migration).await {
            Ok(journal) => Ok(journal.state().outcome.is_some()),
            // a migration with a damaged journal may be running
            Err(damage) if *damage.kind() == ErrorKind::Corrupt => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// # Errors
/// `LockHeld` or `AlreadyExists` while the migration that took the lock last has not ended.
fn ensure_ended(state: &JournalState, info: LockInfo, scope: &Scope) -> Result<()> {
    let Some(earlier) = info.migration else {
        return Ok(());
    };
    if state.plan.is_none() || state.outcome.is_some() {
        return Ok(());
    }
    let since = state
        .started_at
        .map_or(String::new(), |at| format!(" since {at:.0}"));
    let message = format!(
        "a migration of {scope} is not finished: {earlier}, {} by {}{since}",
        state.status(),
        info.holder
    );
    let kind = if info.held {
        ErrorKind::LockHeld(Box::new(info))
    } else {
        ErrorKind::AlreadyExists
    };
    Err(Error::new(kind, message).with_hint(format!(
        "if it is running, wait for it; otherwise resume it or roll it back: {earlier}"
    )))
}

pub(super) fn stopped_waiting() -> Error {
    Error::new(ErrorKind::Cancelled, "stopped while waiting for the lock")
}
