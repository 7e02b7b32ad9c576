//! The lifecycle of a run: lock, journal, work, last record, release.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use futures::{FutureExt as _, future};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, debug, info_span, warn};

use crate::cutover::meter::Meter;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{LockName, MigrationId};
use crate::migration::context::{Context, Guard, Live, Services, Stop};
use crate::migration::control::log::ControlLog;
use crate::migration::control::progress_record::ProgressRecord;
use crate::migration::control::steering::{ControlStart, Steering};
use crate::migration::describe::options::RunOptions;
use crate::migration::journal::Journal;
use crate::migration::limits::hooks::{HookEvent, HookPoint};
use crate::migration::limits::in_flight::Requests;
use crate::migration::limits::throttle::Throttle;
use crate::migration::lock::held_lock::{HeldLock, LockDemand, held};
use crate::migration::lock::options::LockOptions;
use crate::migration::lock::scope::{lock_name, wider_locks};
use crate::migration::report::estimate::OptionalPhases;
use crate::migration::report::progress::Reporter;
use crate::migration::report::result::MigrationResult;
use crate::migration::service::{MigrationService, unknown};
use crate::object::{ChainEnd, Documents, KnownStores, ObjectDocument, chain};
use crate::protocol::journal::{JournalEntry, JournalState};
use crate::protocol::plan::{PlannedMigration, Scope};
use crate::store::LockInfo;
use crate::transform::{EventTransformer, Identity, Mapper};

/// The locks that a migration depends on, as they were just inspected.
#[derive(Debug)]
pub(crate) struct InspectedLocks {
    own: Option<LockInfo>,
    /// Locks of wider scopes that are held.
    wider_held: Vec<LockName>,
}

impl MigrationService {
    /// Executes a plan that has been checked.
    pub(crate) async fn run(
        &self,
        plan: PlannedMigration,
        options: RunOptions,
    ) -> Result<MigrationResult> {
        let locks = self.inspect_locks(&plan.scope).await?;
        self.run_after(locks, plan, options).await
    }

    /// As [`run`](Self::run), by locks that were just inspected.
    pub(crate) async fn run_after(
        &self,
        locks: InspectedLocks,
        plan: PlannedMigration,
        options: RunOptions,
    ) -> Result<MigrationResult> {
        let migration = plan.migration;
        async {
            self.refuse_if_unfinished(locks, &plan, &options).await?;
            let hooks = &options.hooks;
            let planned = HookEvent::of(migration, HookPoint::Planned);
            let hook_faults = hooks.call(&self.environment, planned).await?;
            let reporter = Reporter::start(options.progress.clone(), &self.environment, migration);
            // neither depends on the other
            let locked = self.lock(&plan, &options);
            let (lock, journal) = future::join(locked, self.journal(migration)).await;
            let lock = lock?;
            let journal = match journal {
                Ok(journal) => journal,
                Err(e) => {
                    self.release(lock).await;
                    return Err(e);
                }
            };
            let mut context = self
                .context(plan, false, &options, reporter, lock, journal)
                .await;
            // where the object's events are does not depend on the journal
            let (begun, found) = future::join(self.begin(&context), find_single(&context)).await;
            if let Err(e) = begun {
                self.release(context.guard.stop.lock.take()).await;
                return Err(e);
            }
            context.found = found.into();
            context
                .live
                .hook_faults
                .store(hook_faults, Ordering::Relaxed);
            Ok(self.drive(context).boxed().await)
        }
        .instrument(info_span!("migration", %migration))
        .await
    }

    /// Claims the journal and records the plan.
    async fn begin(&self, context: &Context) -> Result<()> {
        self.announce_target_store(&context.plan).await?;
        context.guard.journal.lock().await.claim().await?;
        let plan = Box::new(context.plan.clone());
        context.guard.record(JournalEntry::Planned { plan }).await
    }

    /// Continues an unfinished migration.
    pub(crate) async fn resume_run(
        &self,
        migration: MigrationId,
        options: RunOptions,
    ) -> Result<MigrationResult> {
        async {
            let (context, rolling_back) = self.take_over(migration, &options).await?;
            // an undo needs no transformer; continuing forward does
            let can_go_forward = self.check_resumed(&context.plan, &options, false).is_ok();
            Ok(if !rolling_back {
                self.drive(context).boxed().await
            } else if can_go_forward {
                self.drive_from_undo(context).boxed().await
            } else {
                self.drive_undo(context).boxed().await
            })
        }
        .instrument(info_span!("migration", %migration))
        .await
    }

    /// Undoes an unfinished migration.
    pub(crate) async fn roll_back_run(
        &self,
        migration: MigrationId,
        reason: &str,
        options: RunOptions,
    ) -> Result<MigrationResult> {
        async {
            let (context, rolling_back) = self.take_over(migration, &options).await?;
            if !rolling_back {
                let entry = JournalEntry::RollingBack {
                    reason: reason.to_owned(),
                    cancels: false,
                };
                let recorded = context.guard.record(entry).await;
                if let Err(error) = recorded {
                    self.release(context.guard.stop.lock).await;
                    return Err(error);
                }
            }
            Ok(self.drive_undo(context).boxed().await)
        }
        .instrument(info_span!("migration", %migration))
        .await
    }

    /// Acquires the lock of an unfinished migration and claims its journal. Also returns whether it
    /// is rolling back.
    async fn take_over(
        &self,
        migration: MigrationId,
        options: &RunOptions,
    ) -> Result<(Box<Context>, bool)> {
        let mut journal = self.journal(migration).await?;
        let plan = resumable(migration, journal.state())?;
        let undoing = options.undo || journal.state().rolling_back.is_some();
        self.check_resumed(&plan, options, undoing)?;
        let reporter = Reporter::start(options.progress.clone(), &self.environment, migration);
        let lock = self.lock(&plan, options).await?;
        if let Err(e) = journal.claim().await {
            self.release(lock).await;
            return Err(e);
        }
        // another holder's undo may have been refused since the journal was read: then the
        // migration continues forward and needs its transformer
        let rolling_back = journal.state().rolling_back.is_some();
        if let Err(e) = self.check_resumed(&plan, options, options.undo || rolling_back) {
            self.release(lock).await;
            return Err(e);
        }
        let context = self.context(plan, true, options, reporter, lock, journal);
        Ok((context.await, rolling_back))
    }

    /// R13: records the target's store in the home store before anything is copied, hence before
    /// the pivot.
    async fn announce_target_store(&self, plan: &PlannedMigration) -> Result<()> {
        let home = self.stores.home().id();
        match plan.target_store.filter(|store| *store != home) {
            Some(store) => KnownStores::new(Arc::clone(&self.records)).add(store).await,
            None => Ok(()),
        }
    }

    /// Refuses a migration of another store, and one that the store from which this one was copied
    /// began and that leads into a third store: its targets there are those of the original.
    fn check_own(&self, plan: &PlannedMigration) -> Result<()> {
        let home = self.stores.home().id();
        let is_elsewhere = |store| !self.stores.are_same(store, home);
        let is_shared = plan.store != home && plan.target_store.is_some_and(is_elsewhere);
        if !is_elsewhere(plan.store) && !is_shared {
            return Ok(());
        }
        let message = format!("the migration belongs to another store: {}", plan.store);
        Err(Error::new(ErrorKind::PlanOutdated, message))
    }

    fn check_resumed(
        &self,
        plan: &PlannedMigration,
        options: &RunOptions,
        undoing: bool,
    ) -> Result<()> {
        self.check_own(plan)?;
        if let Some(store) = plan.target_store {
            self.stores.get(store)?;
        }
        if !undoing {
            self.stores.home().capabilities().ensure_source()?;
        }
        let given = options.fingerprint_for(plan);
        // an undo transforms nothing, so it needs no transformer
        let free = undoing && options.transformer.is_none();
        if free || plan.fingerprint == given {
            return Ok(());
        }
        let message = format!(
            "the transformation is not the one that the migration began with: expected {}, got \
             {given}",
            plan.fingerprint
        );
        let hint = plan.fingerprint.hint_for(&given);
        Err(Error::new(ErrorKind::PlanOutdated, message).with_hint(hint))
    }

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
    async fn refuse_if_unfinished(
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

    async fn lock(&self, plan: &PlannedMigration, options: &RunOptions) -> Result<HeldLock> {
        let demand = LockDemand {
            name: lock_name(&plan.scope)?,
            holder: self.holder.clone(),
            migration: Some(plan.migration),
            options: options.lock,
        };
        let acquiring = HeldLock::acquire(Arc::clone(&self.locks), &self.environment, demand);
        tokio::select! {
            lock = acquiring => lock,
            () = options.cancel.cancelled() => Err(stopped_waiting()),
        }
    }

    async fn context(
        &self,
        plan: PlannedMigration,
        resumed: bool,
        options: &RunOptions,
        reporter: Reporter,
        lock: HeldLock,
        journal: Journal,
    ) -> Box<Context> {
        let transformer: Arc<dyn EventTransformer> = options
            .transformer
            .clone()
            .unwrap_or_else(|| Arc::new(Identity));
        if let Some(object) = plan.scope.single() {
            reporter.update(|p| {
                p.object = Some(object.clone());
                p.objects_total = Some(1);
            });
        }
        let (reporter, meter) = (
            Arc::new(reporter),
            Meter::new(self.environment.clock.clone()),
        );
        if let Some(totals) = options.totals {
            meter.work().set_totals(totals, meter.now());
        }
        let (records, requests) = (&self.records, Requests::default());
        let log = ControlLog::new(Arc::clone(records), plan.migration);
        let progress = ProgressRecord::new(
            Arc::clone(records),
            plan.migration,
            Arc::clone(&reporter),
            Arc::clone(&meter),
            requests.clone(),
            OptionalPhases::of(&plan),
        );
        let control = ControlStart {
            options: options.control,
            resumed,
        };
        let steering = Steering::begin(&plan, &self.environment, log, control, progress).await;
        requests.limit(steering.settings().requests_in_flight);
        Box::new(Context {
            services: Services {
                stores: self.stores.through(&requests),
                documents: Documents::new(Arc::clone(&self.records)),
                records: Arc::clone(&self.records),
                locks: Arc::clone(&self.locks),
                backups: options.backups.clone().or_else(|| self.backups.clone()),
                archives: options.archives.clone().or_else(|| self.backups.clone()),
                environment: self.environment.clone(),
                holder: self.holder.clone(),
            },
            mapper: Mapper::new(transformer),
            plan,
            checks: options.checks.clone(),
            live: Live {
                steering,
                throttle: Throttle::new(options.throttle.clone()),
                requests,
                lanes: Arc::default(),
                meter,
                reporter,
                hooks: options.hooks.clone(),
                hook_faults: AtomicU64::new(0),
                count_first: options.count_first,
                phases_swept: AtomicBool::new(false),
            },
            guard: Guard {
                stop: Stop {
                    requested: options.cancel.clone(),
                    lock: Some(lock),
                    taken_over: CancellationToken::new(),
                },
                journal: Mutex::new(journal),
            },
            found: std::sync::Mutex::default(),
        })
    }

    pub(super) async fn release(&self, lock: impl Into<Option<HeldLock>>) {
        let Some(lock) = lock.into() else { return };
        if let Err(error) = lock.release().await {
            // the lease expires by itself
            warn!(%error, "the lock could not be released");
        }
    }
}

/// Finds a single object, which is all that is read of it before its source is copied.
async fn find_single(context: &Context) -> Option<Result<(ObjectDocument, ChainEnd)>> {
    let object = context.plan.scope.single()?;
    let (stores, documents) = (&context.services.stores, &context.services.documents);
    Some(chain::help(stores, documents, object).await)
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

fn stopped_waiting() -> Error {
    Error::new(ErrorKind::Cancelled, "stopped while waiting for the lock")
}

fn resumable(migration: MigrationId, state: &JournalState) -> Result<PlannedMigration> {
    if state.next_number == 0 {
        return Err(unknown(migration));
    }
    if state.outcome.is_some() {
        let message = format!("the migration has ended, {}: {migration}", state.status());
        return Err(Error::new(ErrorKind::AlreadyExists, message)
            .with_hint("there is nothing to resume; begin a new migration"));
    }
    state.plan.as_deref().cloned().ok_or_else(|| {
        Error::not_found(format!("migration has no plan yet: {migration}"))
            .with_hint("begin a new migration")
    })
}
