//! Drives a run, or its undo, to the end and records the outcome.

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::{FutureExt as _, future};
use tracing::{info, warn};

use crate::error::{Error, ErrorKind, Result};
use crate::migration::context::Context;
use crate::migration::control::steering::RunEnd;
use crate::migration::limits::hooks::{HookEvent, HookPoint};
use crate::migration::report::result::MigrationResult;
use crate::migration::run::scope::ScopeRun;
use crate::migration::run::undo::{UndoRun, discard_late_writes};
use crate::migration::service::MigrationService;
use crate::protocol::journal::{JournalEntry, Outcome};
use crate::protocol::statistics::{ObjectReport, Statistics};
use crate::protocol::status::{MigrationStatus, Step};

/// How long a request that is under way when the lock is lost may take to end, and then again how
/// long the search for what it wrote may take: that is discarded, if the migration was undone
/// meanwhile.
const SETTLE: Duration = Duration::from_secs(2);

/// The result of a run or of an undo.
#[derive(Debug, Default)]
struct RunSummary {
    statistics: Statistics,
    single: Option<ObjectReport>,
    /// The step at which it stopped, and the error, if it stopped.
    stopped: Option<(Step, Error)>,
    /// Whether an undo was refused after the pivot and the refusal is recorded: the run continues
    /// forward.
    refused: bool,
}

impl RunSummary {
    fn stopped(step: Step, error: Error) -> Self {
        let stopped = Some((step, error));
        Self {
            stopped,
            ..Self::default()
        }
    }
}

impl MigrationService {
    /// Runs the migration to its end, or undoes it when a command requests that. After an undo that
    /// is refused because every pivot has passed, the run continues forward.
    pub(super) async fn drive(&self, context: Box<Context>) -> MigrationResult {
        let started = HookEvent::of(context.migration(), HookPoint::Started);
        match context.call_hooks_with(started).await {
            // time has passed
            Ok(true) => drop(context.take_found()),
            Ok(false) => {}
            Err(veto) => {
                return self
                    .conclude_run(context, RunSummary::stopped(Step::AcquireLock, veto))
                    .await;
            }
        }
        loop {
            let ended = self.migrate_scope(&context).await;
            let Some(undo) = context
                .live
                .steering
                .undo()
                .filter(|_| ended.stopped.is_some())
            else {
                return self.conclude_run(context, ended).await;
            };
            let intent = JournalEntry::RollingBack {
                reason: undo.reason,
                cancels: undo.cancels,
            };
            let recorded = context.guard.record(intent).await;
            if let Err(error) = recorded {
                return self
                    .conclude_run(context, RunSummary::stopped(Step::RollBack, error))
                    .await;
            }
            let ended = self.undo(&context).await;
            if !ended.refused {
                return self.conclude_undo(context, ended).await;
            }
            context.live.go_forward();
        }
    }

    /// Continues an undo; after a refusal the migration continues forward.
    pub(super) async fn drive_from_undo(&self, context: Box<Context>) -> MigrationResult {
        let ended = self.undo(&context).await;
        if !ended.refused {
            return self.conclude_undo(context, ended).await;
        }
        context.live.go_forward();
        self.drive(context).await
    }

    /// Undoes the migration; a refusal ends the run.
    pub(super) async fn drive_undo(&self, context: Box<Context>) -> MigrationResult {
        let ended = self.undo(&context).await;
        self.conclude_undo(context, ended).await
    }

    /// Migrates the scope. The loss of the lock ends it, as a crash would, once the request under way
    /// has ended or [`SETTLE`] has passed.
    async fn migrate_scope(&self, context: &Context) -> RunSummary {
        let begun = context.guard.journal.lock().await.state().batch.clone();
        let mut run = ScopeRun::new(context);
        let ended = {
            let mut completing = run.complete(begun).boxed();
            tokio::select! {
                ended = &mut completing => ended,
                lost = context.guard.stop.lost() => {
                    let clock = &context.services.environment.clock;
                    tokio::select! {
                        ended = completing => ended.map_err(|_| lost),
                        () = clock.sleep(SETTLE) => Err(lost),
                    }
                }
            }
        };
        let ScopeRun {
            statistics,
            single,
            failure,
            ..
        } = run;
        let stopped = match ended {
            Err(error) => Some((Step::Copy, error)),
            Ok(()) => failure,
        };
        if let Some((_, error)) = &stopped
            && matches!(error.kind(), ErrorKind::LockLost | ErrorKind::Fenced)
        {
            let clock = &context.services.environment.clock;
            tokio::select! {
                () = discard_late_writes(context) => {}
                () = clock.sleep(SETTLE) => {}
            }
        }
        RunSummary {
            statistics,
            single,
            stopped,
            refused: false,
        }
    }

    /// Undoes the objects that have not passed their pivots; refused when there are none.
    async fn undo(&self, context: &Context) -> RunSummary {
        context.live.steering.begin_undo();
        let mut undo = UndoRun::new(context);
        let error = tokio::select! {
            ended = undo.undo_all().boxed() => ended.err(),
            lost = context.guard.stop.lost() => Some(lost),
        };
        let mut ended = RunSummary {
            statistics: undo.statistics,
            stopped: error.map(|error| (Step::RollBack, error)),
            ..RunSummary::default()
        };
        if let Some((_, why)) = ended.stopped.as_ref().filter(|_| undo.too_late) {
            match refuse_undo(context, why.to_string()).await {
                Ok(()) => ended.refused = true,
                Err(unwritten) => ended.stopped = Some((Step::RollBack, unwritten)),
            }
        }
        ended
    }

    async fn conclude_run(&self, context: Box<Context>, ended: RunSummary) -> MigrationResult {
        let statistics = &ended.statistics;
        let single = ended.stopped.is_some() && context.plan.scope.single().is_some();
        let undone = undone(statistics).filter(|_| single);
        let entry = match (&ended.stopped, undone) {
            (Some(_), Some(outcome)) => finished(outcome, statistics),
            (None, _) => finished(Outcome::Completed, statistics),
            (Some((step, error)), None) => stopped(*step, error, Some(statistics)),
        };
        let end = match (undone, &ended.stopped) {
            (Some(_), _) => Some(RunEnd::Undone),
            (_, None) => Some(RunEnd::Completed),
            _ => None,
        };
        self.end(context, ended, entry, end).await
    }

    async fn conclude_undo(&self, context: Box<Context>, ended: RunSummary) -> MigrationResult {
        let cancelling = context.guard.journal.lock().await.state().cancelling;
        let outcome = match undone(&ended.statistics) {
            Some(Outcome::RolledBack) | None if cancelling => Outcome::Cancelled,
            undone => undone.unwrap_or(Outcome::RolledBack),
        };
        let (entry, end) = match &ended.stopped {
            None => (finished(outcome, &ended.statistics), Some(RunEnd::Undone)),
            // an undo counts only the objects that it has visited
            Some((step, error)) => (stopped(*step, error, None), None),
        };
        if ended.stopped.is_none() {
            let undone = HookEvent::of(context.migration(), HookPoint::RolledBack);
            // a hook cannot veto what has happened
            let _ = context.call_hooks_with(undone).await;
        }
        self.end(context, ended, entry, end).await
    }

    /// Writes the last record. A failure to write it does not keep the run from ending: the next
    /// holder derives the outcome from the streams.
    async fn conclude(
        &self,
        context: &Context,
        entry: JournalEntry,
        stopped: Option<(Step, Error)>,
    ) -> (MigrationStatus, Option<Error>) {
        let error = stopped.map(|(_, error)| error);
        let mut journal = context.guard.journal.lock().await;
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
        mut context: Box<Context>,
        mut ended: RunSummary,
        entry: JournalEntry,
        end: Option<RunEnd>,
    ) -> MigrationResult {
        if let Some((_, error)) = &ended.stopped
            && *error.kind() != ErrorKind::Cancelled
        {
            let failed = HookEvent::of(context.migration(), HookPoint::Failed).with_error(error);
            // a hook cannot veto what has happened
            let _ = context.call_hooks_with(failed).await;
        }
        let (status, error) = self.conclude(&context, entry, ended.stopped.take()).await;
        let faults = context.live.reporter.finish(status).await;
        let mut statistics = ended.statistics;
        statistics.callback_panics = faults.panics;
        statistics.callbacks_blocked = faults.blocked;
        statistics.hook_faults = context.live.hook_faults.load(Ordering::Relaxed);
        let lock = context.guard.stop.lock.take();
        let steering = &context.live.steering;
        let answering = async {
            if let Some(end) = &end {
                steering.conclude(end).await;
            }
            steering.publish_last().await;
        };
        let is_over = context.guard.journal.lock().await.state().outcome.is_some();
        if is_over {
            // there is no next holder, whose answers these could meet
            future::join(answering, self.release(lock)).await;
        } else {
            answering.await;
            self.release(lock).await;
        }
        info!(%status, migrated = statistics.migrated, failed = statistics.failed, "ended");
        MigrationResult {
            migration: context.plan.migration,
            elapsed: context.live.reporter.elapsed(),
            plan: context.plan,
            status,
            statistics,
            object: ended.single,
            error,
        }
    }
}

/// Records that the undo is refused after the pivot; the migration can still be completed.
async fn refuse_undo(context: &Context, reason: String) -> Result<()> {
    let refused = JournalEntry::RollBackRefused {
        reason: reason.clone(),
    };
    context.guard.record(refused).await?;
    if context.plan.scope.single().is_some() {
        context.live.steering.past_the_pivot();
    }
    context.live.steering.refuse_undo(reason).await;
    Ok(())
}

/// Returns the outcome of an undo; `None` if there was nothing to undo.
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

fn stopped(step: Step, error: &Error, statistics: Option<&Statistics>) -> JournalEntry {
    let requested = matches!(error.kind(), ErrorKind::Cancelled);
    JournalEntry::Stopped {
        step,
        requested,
        reason: error.to_string(),
        statistics: statistics.cloned().map(Box::new),
    }
}
