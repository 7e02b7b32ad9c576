//! The undo before the pivot: fences the source, then discards the target (R17).

use std::sync::Arc;

use tracing::info;

use crate::clock::Environment;
use crate::cutover::Cutover;
use crate::cutover::attempt::{Attempt, Sight, fences};
use crate::error::{Error, ErrorKind, Result};
use crate::id::StreamId;
use crate::protocol::decisions::{self as decide, UndoAction, Undone};
use crate::store::{EventStore, Fence};

/// Fence attempts lost to concurrent appends before the undo gives up.
const FENCE_TRIES: usize = 64;

/// Undoes one attempt.
///
/// # Errors
/// `Stuck` when the Fence could not be appended; the target is kept. Those of the store.
pub(crate) async fn undo(cutover: &Cutover<'_>, attempt: &Attempt) -> Result<Undone> {
    let mut last = None;
    for _ in 0..FENCE_TRIES {
        let sight = match attempt.look().await {
            Ok(sight) => sight,
            Err(e) if e.is_retryable() => {
                last = Some(e);
                pause(cutover.environment).await;
                continue;
            }
            Err(e) => return Err(e),
        };
        match decide::undo(sight.source_tail.close(), sight.fenced, &attempt.target) {
            UndoAction::Refuse => return Ok(Undone::TooLate),
            UndoAction::DiscardSuperseded => {
                discard_in(&attempt.target_store, &attempt.target.stream).await?;
                return Ok(Undone::Superseded);
            }
            // the Fence was read back from the source
            UndoAction::Discard => {
                info!(object = %attempt.object, target = %attempt.target, "attempt fenced");
                discard_in(&attempt.target_store, &attempt.target.stream).await?;
                return Ok(Undone::RolledBack);
            }
            UndoAction::Fence if !attempt.source_store.capabilities().fence => {
                return Ok(abandon(cutover, attempt, &sight));
            }
            UndoAction::Fence => {
                if let Err(e) = fence(cutover, attempt, &sight).await {
                    retry_or(e, &mut last)?;
                    pause(cutover.environment).await;
                }
            }
        }
    }
    let message = format!(
        "the source could not be fenced, so the target is kept: {} to {}",
        attempt.source, attempt.target
    );
    let error = Error::new(ErrorKind::Stuck, message).with_hint(
        "a concurrent append won every time; roll back again when there are fewer writers",
    );
    Err(match last {
        Some(source) => error.with_source(source),
        None => error,
    })
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

/// Discards the targets of this migration's fenced attempts at a source: an earlier holder may have
/// crashed between a Fence and the discard, and a paused holder may have written to a discarded
/// target (R17).
pub(crate) async fn discard_fenced(attempt: &Attempt) -> Result<()> {
    let target_store = &attempt.target_store;
    if !target_store.capabilities().discard {
        return Ok(());
    }
    let tail = attempt.source_store.tail(&attempt.source.stream).await?;
    for (target, migration) in fences(&attempt.source_store, &attempt.source, &tail).await? {
        if migration == attempt.migration {
            target_store.discard(&target).await?;
        }
    }
    Ok(())
}

/// Discards a target if the store supports it; otherwise the target remains as an unreferenced
/// orphan.
async fn discard_in(store: &Arc<dyn EventStore>, target: &StreamId) -> Result<()> {
    if store.capabilities().discard {
        store.discard(target).await?;
    }
    Ok(())
}

/// Permits a retry after a Fence that lost to a concurrent write or had an ambiguous outcome: the
/// next observation settles it.
fn retry_or(error: Error, last: &mut Option<Error>) -> Result<()> {
    let retry = error.is_retryable() || matches!(error.kind(), ErrorKind::Closed(_));
    if !retry {
        return Err(error);
    }
    *last = Some(error);
    Ok(())
}

async fn pause(environment: &Environment) {
    let base = std::time::Duration::from_millis(20);
    environment.clock.sleep(environment.jittered(base)).await;
}

/// Discards the target, if the store supports it.
pub(crate) async fn discard(attempt: &Attempt) -> Result<()> {
    discard_in(&attempt.target_store, &attempt.target.stream).await
}
