//! The lifecycle of a run: lock, journal, work, last record, release.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use futures::{FutureExt as _, future};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, info_span, warn};

use crate::cutover::meter::Meter;
use crate::error::{Error, ErrorKind, Result};
use crate::id::MigrationId;
use crate::migration::context::{Context, Guard, Live, Services, Stop};
use crate::migration::control::log::ControlLog;
use crate::migration::control::progress_record::ProgressRecord;
use crate::migration::control::steering::{ControlStart, Steering};
use crate::migration::describe::options::RunOptions;
use crate::migration::journal::Journal;
use crate::migration::limits::hooks::{HookEvent, HookPoint};
use crate::migration::limits::in_flight::Requests;
use crate::migration::limits::throttle::Throttle;
use crate::migration::lock::held_lock::{HeldLock, LockDemand};
use crate::migration::lock::scope::lock_name;
use crate::migration::report::estimate::OptionalPhases;
use crate::migration::report::progress::Reporter;
use crate::migration::report::result::MigrationResult;
use crate::migration::run::earlier::{InspectedLocks, stopped_waiting};
use crate::migration::service::{MigrationService, unknown};
use crate::object::{ChainEnd, Documents, KnownStores, ObjectDocument, chain};
use crate::protocol::journal::{JournalEntry, JournalState};
use crate::protocol::plan::PlannedMigration;
use crate::transform::{EventTransformer, Identity, Mapper};

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
