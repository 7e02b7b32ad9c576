//! The life of a run: lock, journal, work, last record, release.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, info, info_span, warn};

use super::context::{Context, Stop};
use super::describe::RunOptions;
use super::held_lock::{HeldLock, LockDemand, held};
use super::journal::{Journal, JournalEntry, JournalState, Outcome};
use super::lock_scope::{lock_name, wider_locks};
use super::options::{LockOptions, PlannedMigration};
use super::progress::Reporter;
use super::report::{MigrationResult, ObjectReport, Statistics};
use super::run::Run;
use super::service::{MigrationService, unknown};
use super::status::{MigrationStatus, Step};
use super::undo::UndoRun;
use crate::document::Documents;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{LockName, MigrationId};
use crate::known_stores::KnownStores;
use crate::transform::{EventTransformer, Identity, Mapper};

impl MigrationService {
    /// Executes a plan that was checked already.
    pub(crate) async fn execute(
        &self,
        plan: PlannedMigration,
        options: RunOptions,
    ) -> Result<MigrationResult> {
        let migration = plan.migration;
        async {
            self.refuse_if_unfinished(&plan, &options).await?;
            let reporter = Reporter::start(options.progress.clone(), &self.environment, migration);
            let lock = self.lock(&plan, &options).await?;
            let mut journal = self.journal(migration).await?;
            let begun = async {
                self.announce_target_store(&plan).await?;
                journal.claim().await?;
                journal
                    .append(JournalEntry::Planned {
                        plan: Box::new(plan.clone()),
                    })
                    .await
            };
            if let Err(e) = begun.await {
                self.release(lock).await;
                return Err(e);
            }
            let context = self.context(plan, &options, reporter, lock, journal);
            Ok(self.drive(context).await)
        }
        .instrument(info_span!("migration", %migration))
        .await
    }

    /// Goes on with an unfinished migration.
    pub(crate) async fn resume_run(
        &self,
        migration: MigrationId,
        options: RunOptions,
    ) -> Result<MigrationResult> {
        async {
            let (context, rolling_back) = self.take_over(migration, &options).await?;
            match rolling_back {
                // once it is being undone, it can only be undone
                true => Ok(self.drive_undo(context).await),
                false => Ok(self.drive(context).await),
            }
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
                };
                let recorded = context.journal.lock().await.append(entry).await;
                if let Err(error) = recorded {
                    self.release(context.stop.lock).await;
                    return Err(error);
                }
            }
            Ok(self.drive_undo(context).await)
        }
        .instrument(info_span!("migration", %migration))
        .await
    }

    /// Takes the lock and the journal of an unfinished migration.
    async fn take_over(
        &self,
        migration: MigrationId,
        options: &RunOptions,
    ) -> Result<(Context, bool)> {
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
        // another may have ended an undo, refused, since it was read: an undo needs no transformer,
        // but going forward does
        let rolling_back = journal.state().rolling_back.is_some();
        if let Err(e) = self.check_resumed(&plan, options, options.undo || rolling_back) {
            self.release(lock).await;
            return Err(e);
        }
        Ok((
            self.context(plan, options, reporter, lock, journal),
            rolling_back,
        ))
    }

    /// R13: the home store names the target's store before anything is copied, so certainly before
    /// the pivot.
    async fn announce_target_store(&self, plan: &PlannedMigration) -> Result<()> {
        let home = self.stores.home().id();
        match plan.target_store.filter(|store| *store != home) {
            Some(store) => KnownStores::new(Arc::clone(&self.records)).add(store).await,
            None => Ok(()),
        }
    }

    fn check_resumed(
        &self,
        plan: &PlannedMigration,
        options: &RunOptions,
        undoing: bool,
    ) -> Result<()> {
        if plan.store != self.stores.home().id() {
            let message = format!("the migration belongs to another store: {}", plan.store);
            return Err(Error::new(ErrorKind::PlanOutdated, message));
        }
        if let Some(store) = plan.target_store {
            self.stores.get(store)?;
        }
        if !undoing {
            self.stores.home().capabilities().ensure_source()?;
        }
        let given = options.fingerprint();
        // an undo transforms nothing, so it needs no transformer
        let free = undoing && options.transformer.is_none();
        if free || plan.fingerprint == given {
            return Ok(());
        }
        let message = format!(
            "another transformation than the migration began with: expected {}, got {given}",
            plan.fingerprint
        );
        Err(Error::new(ErrorKind::PlanOutdated, message).with_hint(
            "resume it with its own transformation, or roll it back and begin a new one",
        ))
    }

    /// A migration of the same scope that has not ended is to be resumed or rolled back first.
    async fn refuse_if_unfinished(
        &self,
        plan: &PlannedMigration,
        options: &RunOptions,
    ) -> Result<()> {
        for wider in wider_locks(&plan.scope)? {
            tokio::select! {
                free = self.wait_until_free(&wider, &options.lock) => free?,
                () = options.cancel.cancelled() => return Err(stopped_waiting()),
            }
        }
        let Some(info) = self.locks.inspect(&lock_name(&plan.scope)?).await? else {
            return Ok(());
        };
        let Some(earlier) = info.migration else {
            return Ok(());
        };
        let journal = self.journal(earlier).await?;
        let state = journal.state();
        if state.plan.is_none() || state.outcome.is_some() {
            return Ok(());
        }
        let since = state
            .started_at
            .map_or(String::new(), |at| format!(" since {at}"));
        let message = format!(
            "a migration of {} is not finished: {earlier}, {} by {}{since}",
            plan.scope,
            state.status(),
            info.holder
        );
        let kind = match info.held {
            true => ErrorKind::LockHeld(Box::new(info)),
            false => ErrorKind::AlreadyExists,
        };
        Err(Error::new(kind, message).with_hint(format!(
            "if it runs, wait for it; else resume it or roll it back: {earlier}"
        )))
    }

    /// Waits for the holder of a wider lock, as long as for the own lock. Who has only just come
    /// cannot tell a lock that is renewed from one whose holder died, until a lease has passed; but
    /// a migration that has ended is not at work, also where its lock was never released.
    async fn wait_until_free(&self, lock: &LockName, options: &LockOptions) -> Result<()> {
        let clock = &self.environment.clock;
        let deadline = clock.monotonic() + options.timeout;
        loop {
            let seen = self.locks.inspect(lock).await?;
            let Some(info) = seen.filter(|info| info.held) else {
                return Ok(());
            };
            if let Some(migration) = info.migration
                && self.journal(migration).await?.state().outcome.is_some()
            {
                return Ok(());
            }
            if clock.monotonic() >= deadline {
                return Err(held(info));
            }
            let pause = (options.lease / 10).min(Duration::from_secs(1));
            clock.sleep(pause.max(Duration::from_millis(10))).await;
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

    fn context(
        &self,
        plan: PlannedMigration,
        options: &RunOptions,
        reporter: Reporter,
        lock: HeldLock,
        journal: Journal,
    ) -> Context {
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
        Context {
            stores: self.stores.clone(),
            documents: Documents::new(Arc::clone(&self.records)),
            records: Arc::clone(&self.records),
            locks: Arc::clone(&self.locks),
            backups: options.backups.clone().or_else(|| self.backups.clone()),
            archives: options.archives.clone().or_else(|| self.backups.clone()),
            environment: self.environment.clone(),
            mapper: Mapper::new(transformer),
            plan,
            checks: options.checks.clone(),
            reporter,
            stop: Stop {
                requested: options.cancel.clone(),
                lock: Some(lock),
                taken_over: CancellationToken::new(),
            },
            journal: Mutex::new(journal),
        }
    }

    async fn drive(&self, context: Context) -> MigrationResult {
        let begun = context.journal.lock().await.state().batch.clone();
        let mut run = Run::new(&context);
        let ended = run.run(begun).boxed().await;
        let Run {
            mut statistics,
            single,
            failure,
            ..
        } = run;
        let (step, error) = match (ended, failure) {
            (Err(error), _) => (Step::Copy, Some(error)),
            (Ok(()), Some((step, error))) => (step, Some(error)),
            (Ok(()), None) => (Step::Copy, None),
        };
        let undone = undone(&statistics).filter(|_| context.plan.scope.single().is_some());
        let entry = match (&error, undone) {
            (Some(_), Some(outcome)) => finished(outcome, &statistics),
            (None, _) => finished(Outcome::Completed, &statistics),
            (Some(e), None) => stopped(step, e),
        };
        let (status, error) = self.conclude(&context, entry, error).await;
        let faults = context.reporter.finish(status).await;
        statistics.callback_panics = faults.panics;
        statistics.callbacks_blocked = faults.blocked;
        self.end(context, status, statistics, single, error).await
    }

    async fn drive_undo(&self, context: Context) -> MigrationResult {
        let mut undo = UndoRun::new(&context);
        let error = undo.run().boxed().await.err();
        let statistics = undo.statistics.clone();
        let entry = match &error {
            None => finished(
                undone(&statistics).unwrap_or(Outcome::RolledBack),
                &statistics,
            ),
            Some(e) if undo.too_late => JournalEntry::RollBackRefused {
                reason: e.to_string(),
            },
            Some(e) => stopped(Step::RollBack, e),
        };
        let (status, error) = self.conclude(&context, entry, error).await;
        context.reporter.finish(status).await;
        self.end(context, status, statistics, None, error).await
    }

    /// Writes the last record. A holder that was fenced off, or that cannot write, ends all the
    /// same: whoever comes next finds out from the streams.
    async fn conclude(
        &self,
        context: &Context,
        entry: JournalEntry,
        error: Option<Error>,
    ) -> (MigrationStatus, Option<Error>) {
        let mut journal = context.journal.lock().await;
        match journal.append(entry).await {
            Ok(()) => (journal.state().status(), error),
            Err(unwritten) => {
                warn!(error = %unwritten, "the end could not be recorded");
                (MigrationStatus::Failed, Some(error.unwrap_or(unwritten)))
            }
        }
    }

    async fn end(
        &self,
        mut context: Context,
        status: MigrationStatus,
        statistics: Statistics,
        object: Option<ObjectReport>,
        error: Option<Error>,
    ) -> MigrationResult {
        if let Some(lock) = context.stop.lock.take() {
            self.release(lock).await;
        }
        info!(%status, migrated = statistics.migrated, failed = statistics.failed, "ended");
        MigrationResult {
            migration: context.plan.migration,
            elapsed: context.reporter.elapsed(),
            plan: context.plan,
            status,
            statistics,
            object,
            error,
        }
    }

    async fn release(&self, lock: impl Into<Option<HeldLock>>) {
        let Some(lock) = lock.into() else { return };
        if let Err(error) = lock.release().await {
            // it expires by itself
            warn!(%error, "the lock could not be released");
        }
    }
}

fn stopped_waiting() -> Error {
    Error::new(ErrorKind::Cancelled, "stopped while waiting for the lock")
}

/// How an undo ended, if there was anything to undo.
fn undone(statistics: &Statistics) -> Option<Outcome> {
    match (statistics.abandoned, statistics.rolled_back) {
        (0, 0) => None,
        (0, _) => Some(Outcome::RolledBack),
        _ => Some(Outcome::Abandoned),
    }
}

fn finished(outcome: Outcome, statistics: &Statistics) -> JournalEntry {
    JournalEntry::Finished {
        outcome,
        statistics: Box::new(statistics.clone()),
    }
}

fn stopped(step: Step, error: &Error) -> JournalEntry {
    let requested = matches!(error.kind(), ErrorKind::Cancelled);
    JournalEntry::Stopped {
        step,
        requested,
        reason: error.to_string(),
    }
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
        Error::not_found(format!("nothing was planned yet in migration {migration}"))
            .with_hint("begin a new migration")
    })
}
