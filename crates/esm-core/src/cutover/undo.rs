//! The undo before the pivot: fences the source, then discards the target (R17).

use std::sync::Arc;
use std::time::Duration;

use tracing::info;

use crate::backoff::BackOff;
use crate::cutover::Cutover;
use crate::cutover::attempt::{Attempt, Sight, fences};
use crate::error::{Error, ErrorKind, Result};
use crate::id::StreamId;
use crate::protocol::decisions::{self as decide, UndoAction, Undone};
use crate::store::{EventStore, Fence};

/// Observations, and Fence attempts lost to concurrent appends, before the undo gives up.
const UNDO: BackOff = BackOff::constant(64, Duration::from_millis(20));

/// Undoes one attempt.
///
/// # Errors
/// `Stuck` when the Fence could not be appended; the target is kept. Those of the store.
pub(crate) async fn undo(cutover: &Cutover<'_>, attempt: &Attempt) -> Result<Undone> {
    let mut back_off = UNDO;
    let mut last = None;
    loop {
        let failed = match attempt.look().await {
            Ok(sight) => match conclude(cutover, attempt, &sight).await? {
                Some(undone) => return Ok(undone),
                None => fence(cutover, attempt, &sight).await.err(),
            },
            Err(e) => Some(e),
        };
        let retry = match failed {
            // the next observation finds the Fence
            None => back_off.retry_at_once(),
            Some(e) if is_settled_by_observing(&e) => {
                last = Some(e);
                back_off.pause(cutover.environment).await
            }
            Some(e) => return Err(e),
        };
        if !retry {
            return Err(not_fenced(attempt, last));
        }
    }
}

/// Ends the undo as the observation requires; `None` if the source must be fenced first.
async fn conclude(
    cutover: &Cutover<'_>,
    attempt: &Attempt,
    sight: &Sight,
) -> Result<Option<Undone>> {
    let close = sight.source_tail.close();
    let undone = match decide::undo(close, sight.fenced, &attempt.target) {
        UndoAction::Refuse => Undone::TooLate,
        UndoAction::DiscardSuperseded => {
            discard(attempt).await?;
            Undone::Superseded
        }
        // the Fence was read back from the source
        UndoAction::Discard => {
            info!(object = %attempt.object, target = %attempt.target, "attempt fenced");
            discard(attempt).await?;
            Undone::RolledBack
        }
        UndoAction::Fence if !attempt.source_store.capabilities().fence => {
            abandon(cutover, attempt, sight)
        }
        UndoAction::Fence => return Ok(None),
    };
    Ok(Some(undone))
}

fn not_fenced(attempt: &Attempt, last: Option<Error>) -> Error {
    let message = format!(
        "the source could not be fenced, so the target is kept: {} to {}",
        attempt.source, attempt.target
    );
    let error = Error::new(ErrorKind::Stuck, message).with_hint(
        "a concurrent append won every time; roll back again when there are fewer writers",
    );
    match last {
        Some(source) => error.with_source(source),
        None => error,
    }
}

/// Abandons an attempt whose source cannot be fenced. Without a target it counts as rolled back, if
/// the run [excludes late Closes](crate::cutover::supervisor::Supervisor::excludes_late_closes).
fn abandon(cutover: &Cutover<'_>, attempt: &Attempt, sight: &Sight) -> Undone {
    if cutover.supervisor.excludes_late_closes() && sight.target_tail.is_empty() {
        return Undone::RolledBack;
    }
    info!(object = %attempt.object, target = %attempt.target, "attempt abandoned");
    Undone::Abandoned
}

/// Appends the Fence at the observed tail, provided that no other holder has taken over.
pub(crate) async fn fence(cutover: &Cutover<'_>, attempt: &Attempt, sight: &Sight) -> Result<()> {
    let fence = Fence {
        target: attempt.target.stream.clone(),
        migration: attempt.migration,
    };
    cutover.supervisor.ensure_in_charge().await?;
    let commit = cutover.environment.commit_id();
    let source = &attempt.source.stream;
    attempt
        .source_store
        .fence(source, &sight.source_tail, commit, fence)
        .await
        .map(drop)
}

/// Discards the targets of all fenced attempts at a source, of whichever migration: an earlier
/// holder may have crashed between a Fence and the discard, and a paused holder may have written to
/// a discarded target (R17).
///
/// A Fence was read back from the source, so nobody closes the source to its target any more; and a
/// stream id belongs to one source alone, so nobody closes another source to it either. Another
/// migration's target is looked for in the store of the source, where it is unless that migration
/// moved streams to another store.
pub(crate) async fn discard_fenced(attempt: &Attempt) -> Result<()> {
    let tail = attempt.source_store.tail(&attempt.source.stream).await?;
    let closed_to = tail.close().and_then(|close| close.target.clone());
    for (target, migration) in fences(&attempt.source_store, &attempt.source, &tail).await? {
        // I5, should a Close ever contradict a Fence
        if closed_to
            .as_ref()
            .is_some_and(|closed| closed.stream == target)
        {
            continue;
        }
        let own = migration == attempt.migration;
        let elsewhere = attempt.target_store.id() != attempt.source_store.id();
        if own && elsewhere {
            discard_in(&attempt.target_store, &target).await?;
        }
        discard_in(&attempt.source_store, &target).await?;
    }
    Ok(())
}

/// Whether the next observation settles a failure: a Fence that lost to a concurrent write or had an
/// ambiguous outcome, or a read that may succeed later.
fn is_settled_by_observing(error: &Error) -> bool {
    error.is_retryable() || matches!(error.kind(), ErrorKind::Closed(_))
}

/// Discards the target of an attempt.
pub(crate) async fn discard(attempt: &Attempt) -> Result<()> {
    discard_in(&attempt.target_store, &attempt.target.stream).await
}

/// Discards a target if the store supports it; otherwise the target remains as an unreferenced
/// orphan.
async fn discard_in(store: &Arc<dyn EventStore>, target: &StreamId) -> Result<()> {
    if store.capabilities().discard {
        store.discard(target).await?;
    }
    Ok(())
}
