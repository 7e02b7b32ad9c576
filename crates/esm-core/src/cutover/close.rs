//! Step 6: Close the source, which is the pivot, then make the document follow.

use tracing::info;

use crate::cutover::attempt::{Attempt, Sight};
use crate::error::Result;
use crate::event::Revision;
use crate::id::{ObjectId, StreamRef};
use crate::migration::run::context::Context;
use crate::object::{ObjectDocument, TerminatedStream, chain};
use crate::protocol::status::{MigrationStatus, Step};
use crate::store::{Close, Tail};

/// Closes the source at exactly the tail that was seen, scanned and verified, and answers the tail
/// with the Close. Its success proves that no event came after what the target holds.
///
/// # Errors
/// `Conflict` when a writer was faster, `Closed` when another migrator was, `Ambiguous`: after any
/// of them the world must be looked at again. `Fenced` when another holder has taken over.
pub(crate) async fn close(
    context: &Context,
    attempt: &Attempt,
    sight: &Sight,
    target_events: Revision,
) -> Result<Tail> {
    context.reporter.update(|p| {
        p.status = MigrationStatus::CuttingOver;
        p.step = Step::CutOver;
        p.object = Some(attempt.object.clone());
    });
    // the last safe point: from the Close on there is only forward
    context.check()?;
    context.ensure_in_charge().await?;
    let close = Close {
        target: Some(attempt.target.clone()),
        events: sight.source_tail.next_revision(),
        target_events,
        migration: context.migration(),
        continues: true,
    };
    let commit = context.environment.commit_id();
    let source = &attempt.source.stream;
    let closed = attempt
        .source_store
        .close(source, &sight.source_tail, commit, close)
        .await?;
    info!(object = %attempt.object, target = %attempt.target, "source closed");
    Ok(closed)
}

/// Makes the document follow a Close that this process has just written.
///
/// # Errors
/// Those of the records.
pub(crate) async fn follow_own_close(
    context: &Context,
    object: &ObjectId,
    source: &StreamRef,
    close: &Close,
) -> Result<ObjectDocument> {
    context
        .documents
        .update(object, |document| {
            let followed = document.follow(source, close);
            complete_entry(context, document, source) || followed
        })
        .await
}

/// Makes the document name the chain's end, with all that is known of the closed stream. Helpers
/// may have done a part of it already.
///
/// # Errors
/// Those of the store and the records.
pub(crate) async fn follow_close(
    context: &Context,
    object: &ObjectId,
    source: &StreamRef,
) -> Result<ObjectDocument> {
    let document = context.documents.load(object).await?.document;
    let end = chain::follow_in(&context.stores, document.active).await?;
    context
        .documents
        .update(object, |document| {
            let followed = chain::follow_all(document, &end);
            complete_entry(context, document, source) || followed
        })
        .await
}

/// Fills in what a helper did not know; where no archive is wanted the books are closed with it.
fn complete_entry(context: &Context, document: &mut ObjectDocument, source: &StreamRef) -> bool {
    let migration = context.migration();
    let entry = document.terminated.iter_mut().rev();
    let Some(entry) = entry
        .into_iter()
        .find(|e| e.stream == *source && e.migration == migration)
    else {
        return false;
    };
    let before = entry.clone();
    entry.fingerprint = Some(context.plan.fingerprint.clone());
    if let Some(books) = context
        .plan
        .close_books
        .as_ref()
        .filter(|b| b.archive.is_none())
    {
        stamp_books(context, entry, &books.metadata);
    }
    *entry != before
}

/// Writes into a terminated stream's entry that its books are closed.
pub(crate) fn stamp_books(
    context: &Context,
    entry: &mut TerminatedStream,
    metadata: &std::collections::BTreeMap<String, String>,
) {
    if entry.books_closed_at.is_none() {
        entry.books_closed_at = Some(context.environment.clock.now());
        entry.metadata.extend(metadata.clone());
    }
}
