//! The undo, before the pivot: Fence the source, then discard the target (R17).

use std::sync::Arc;

use tracing::info;

use crate::clock::Environment;
use crate::cutover::Cutover;
use crate::cutover::attempt::{Attempt, Sight, fences};
use crate::error::{Error, ErrorKind, Result};
use crate::id::StreamId;

use crate::protocol::decisions::{self as decide, UndoAction, Undone};
use crate::store::{EventStore, Fence};

/// Fences tried before an undo is given up because writers keep being faster.
const FENCE_TRIES: usize = 64;

/// Undoes one attempt.
///
/// # Errors
/// `Stuck` when the Fence could not be placed: the target is kept then. Those of the store.
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
            // read back: the Fence was seen in the source, by this look
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
    let error = Error::new(ErrorKind::Stuck, message)
        .with_hint("writers were faster every time; roll back again when there are fewer");
    Err(match last {
        Some(source) => error.with_source(source),
        None => error,
    })
}

/// Gives up an attempt at a source that cannot be fenced. Where nothing was begun by now nothing
/// ever will be closed to, if the run excludes that: see [`ensure_in_charge`](crate::cutover::supervisor::Supervisor::ensure_in_charge).
fn abandon(cutover: &Cutover<'_>, attempt: &Attempt, sight: &Sight) -> Undone {
    if cutover.supervisor.excludes_late_closes() && sight.target_tail.is_empty() {
        return Undone::RolledBack;
    }
    info!(object = %attempt.object, target = %attempt.target, "attempt abandoned");
    Undone::Abandoned
}

/// Appends the Fence at the tail that was seen, while no other holder has taken over.
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

/// Removes the targets of all own attempts that were fenced in a source: an earlier holder may
/// have crashed between a Fence and its clean-up, and a paused one may have written into a
/// target after it was discarded (R17).
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

/// Removes a target, where the store can; where it cannot, it stays as an orphan that nothing names.
async fn discard_in(store: &Arc<dyn EventStore>, target: &StreamId) -> Result<()> {
    match store.capabilities().discard {
        true => store.discard(target).await,
        false => Ok(()),
    }
}

/// A Fence that another write was faster than, or whose answer was lost, is settled by looking.
fn retry_or(error: Error, last: &mut Option<Error>) -> Result<()> {
    let look_again = error.is_retryable() || matches!(error.kind(), ErrorKind::Closed(_));
    if !look_again {
        return Err(error);
    }
    *last = Some(error);
    Ok(())
}

async fn pause(environment: &Environment) {
    let base = std::time::Duration::from_millis(20);
    environment.clock.sleep(environment.jittered(base)).await;
}

/// Removes the target, where the store can.
pub(crate) async fn discard(attempt: &Attempt) -> Result<()> {
    discard_in(&attempt.target_store, &attempt.target.stream).await
}
