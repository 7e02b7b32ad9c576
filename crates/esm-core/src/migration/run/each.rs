//! One object of a batch: lock check and triage, migration, and undo on failure.

use futures::future;
use tracing::warn;

use crate::error::{Error, Result};
use crate::id::ObjectId;
use crate::migration::context::Context;
use crate::migration::limits::hooks::{HookEvent, HookPoint};
use crate::migration::lock::held_lock::held;
use crate::migration::lock::scope::lock_name;
use crate::migration::run::object::ObjectRun;
use crate::migration::run::triage::{Triage, triage};
use crate::migration::step::close_books::OpenBooks;
use crate::migration::step::undo::undo;
use crate::object::TerminatedStream;
use crate::protocol::decisions::Undone;
use crate::protocol::journal::JournalEntry;
use crate::protocol::plan::Scope;
use crate::protocol::statistics::ObjectReport;
use crate::protocol::status::Step;

/// A migrated object of a batch.
pub(super) struct MigratedObject {
    pub(super) report: ObjectReport,
    pub(super) books: Option<OpenBooks>,
}

/// A failed object of a batch.
pub(super) struct FailedObject {
    pub(super) object: ObjectId,
    pub(super) step: Step,
    pub(super) error: Error,
    pub(super) undone: Option<Undone>,
}

/// Triages an object. In a bulk run, an object that another process migrates on its own is refused.
///
/// # Errors
/// `LockHeld` for such an object; those of [`triage`].
pub(super) async fn triage_unless_locked(
    context: &Context,
    object: &ObjectId,
    earlier_pass: bool,
) -> Result<Triage> {
    context.safe_point().await?;
    let triage = triage(context, object, earlier_pass);
    if context.plan.scope.single().is_some() {
        return triage.await;
    }
    let name = lock_name(&Scope::Objects(vec![object.clone()]))?;
    let (triage, lock) = future::join(triage, context.services.locks.inspect(&name)).await;
    let triage = triage?;
    if matches!(triage, Triage::UpToDate(_)) {
        return Ok(triage);
    }
    if let Some(info) = lock?.filter(|info| info.held)
        && context.services.may_be_running(&info).await?
    {
        let now = context.services.environment.clock.now();
        return Err(held(info, now));
    }
    Ok(triage)
}

pub(super) async fn migrate_one(
    context: &Context,
    object: &ObjectId,
    triage: Triage,
) -> std::result::Result<MigratedObject, FailedObject> {
    let mut run = ObjectRun::new(context, object);
    match run.complete(triage).await {
        Ok(report) => {
            context.live.reporter.update(|p| {
                p.objects_done += 1;
                p.object = Some(object.clone());
            });
            let books = open_books(context, object, &report).await;
            let books = books.map_err(|error| failed(object, Step::CloseBooks, error))?;
            Ok(MigratedObject { report, books })
        }
        Err(error) => {
            let mut failure = failed(object, run.step, error);
            if !context.guard.ends_the_run(&failure.error) {
                call_failure_hooks(context, object, &failure.error).await;
            }
            failure.undone = undo_failed(context, &run, &failure.error).await;
            Err(failure)
        }
    }
}

async fn call_failure_hooks(context: &Context, object: &ObjectId, error: &Error) {
    let failed = HookEvent::of(context.migration(), HookPoint::Failed);
    let event = failed.with_object(object).with_error(error);
    // a hook cannot veto what has happened
    let _ = context.call_hooks_with(event).await;
}

pub(super) fn failed(object: &ObjectId, step: Step, error: Error) -> FailedObject {
    FailedObject {
        object: object.clone(),
        step,
        error,
        undone: None,
    }
}

/// Returns the open books of a migrated object, if it is to be archived.
async fn open_books(
    context: &Context,
    object: &ObjectId,
    report: &ObjectReport,
) -> Result<Option<OpenBooks>> {
    let wanted = context
        .plan
        .close_books
        .as_ref()
        .is_some_and(|b| b.archive.is_some());
    let Some(source) = report.source.as_ref().filter(|_| wanted) else {
        return Ok(None);
    };
    let documents = &context.services.documents;
    let document = documents.load(object).await?.document;
    let is_closed = |entry: &TerminatedStream| entry.stream == *source;
    let entry = documents.find_terminated(&document, is_closed).await?;
    let open = entry.is_some_and(|entry| entry.books_closed_at.is_none());
    Ok(open.then(|| OpenBooks {
        object: object.clone(),
        stream: source.clone(),
    }))
}

/// Undoes a failed attempt immediately, if the plan says so. Returns the outcome of an undo.
async fn undo_failed(context: &Context, run: &ObjectRun<'_>, error: &Error) -> Option<Undone> {
    if !context.plan.rollback_on_failure || context.guard.ends_the_run(error) {
        return None;
    }
    let attempt = run.attempt.as_ref()?;
    // the intent is recorded first; in a bulk run a resumed run tries the object again
    let single = context.plan.scope.single().is_some();
    let reason = error.to_string();
    if single && !recorded(context, rolling_back(reason)).await {
        return None;
    }
    match undo(context, attempt).await {
        Ok(Undone::TooLate) => {
            let reason = "the source is already closed".to_owned();
            if single {
                recorded(context, JournalEntry::RollBackRefused { reason }).await;
            }
            None
        }
        // R5: nothing of this migration was undone; the winner's target is the object's stream
        Ok(Undone::Superseded) => None,
        Ok(undone) => Some(undone),
        Err(stuck) => {
            warn!(object = %attempt.object, error = %stuck, "the undo failed");
            None
        }
    }
}

fn rolling_back(reason: String) -> JournalEntry {
    let cancels = false;
    JournalEntry::RollingBack { reason, cancels }
}

async fn recorded(context: &Context, entry: JournalEntry) -> bool {
    let appended = context.guard.record(entry).await;
    if let Err(error) = &appended {
        warn!(%error, "journal record not written");
    }
    appended.is_ok()
}
