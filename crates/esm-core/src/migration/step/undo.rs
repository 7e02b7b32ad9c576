//! The undo of an attempt, including the status and phases that a migration publishes.

use crate::cutover::attempt::Attempt;
use crate::cutover::supervisor::{Report, Supervisor as _};
use crate::cutover::undo::{self, discard, discard_fenced};
use crate::error::Result;
use crate::migration::context::Context;
use crate::migration::step::phases;
use crate::object::ObjectDocument;
use crate::protocol::decisions::Undone;
use crate::protocol::phase::MigrationPhase;
use crate::protocol::status::{MigrationStatus, Step};

/// Undoes one attempt, and publishes that the object is back in its normal phase.
///
/// # Errors
/// As [`undo`](undo::undo).
pub(crate) async fn undo(context: &Context, attempt: &Attempt) -> Result<Undone> {
    context.report(Report::Begins {
        status: MigrationStatus::RollingBack,
        step: Step::RollBack,
        object: &attempt.object,
    });
    let undone = undo::undo(&context.cutover(), attempt).await?;
    if undone != Undone::TooLate {
        let tail = attempt.source_store.tail(&attempt.source.stream).await?;
        let events = tail.next_revision();
        phases::end(context, attempt, events, MigrationPhase::Normal).await;
    }
    Ok(undone)
}

/// R5: discards this migration's targets of streams that another migration has closed since. The
/// next attempt starts from the active stream.
///
/// A stream that this migration closed continues in its target, so it is left out. Targets are
/// compared by their ids alone: the store may have been given another id since the Close.
///
/// # Errors
/// Those of the store and the records.
pub(crate) async fn discard_superseded(context: &Context, document: &ObjectDocument) -> Result<()> {
    let document = &context.services.documents.whole(document.clone()).await?;
    let migration = context.migration();
    for entry in document
        .terminated
        .iter()
        .filter(|entry| entry.migration != migration)
    {
        let source = entry.stream.clone();
        let attempt = context.attempt_now(document, source).await?;
        if entry.continuation.stream != attempt.target.stream {
            discard(&attempt).await?;
        }
        if attempt.has_fences {
            discard_fenced(&attempt).await?;
        }
    }
    Ok(())
}
