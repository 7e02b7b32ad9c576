//! The undo, before the pivot: Fence the source, then discard the target (R17).

use tracing::info;

use crate::error::{Error, ErrorKind, Result};
use crate::id::{ObjectId, StreamRef};
use crate::migration::attempt::{Attempt, Sight, fences};
use crate::migration::context::Context;
use crate::migration::decide::{self, UndoAction};
use crate::migration::status::{MigrationStatus, Step};
use crate::store::Fence;

/// Fences tried before an undo is given up because writers keep being faster.
const FENCE_TRIES: usize = 64;

/// How the undo of one attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Undone {
    /// The source is open and the target can never be closed to; it was discarded.
    RolledBack,
    /// Another migration had closed the source already; the own target was discarded.
    Superseded,
    /// The pivot is behind: nothing is undone, only forward is left.
    TooLate,
}

/// Undoes one attempt.
///
/// # Errors
/// `Stuck` when the Fence could not be placed: the target is kept then. Those of the store.
pub(crate) async fn undo(context: &Context, attempt: &Attempt) -> Result<Undone> {
    report(context, &attempt.object);
    let mut last = None;
    for _ in 0..FENCE_TRIES {
        let sight = match attempt.look(&context.store).await {
            Ok(sight) => sight,
            Err(e) if e.is_retryable() => {
                last = Some(e);
                pause(context).await;
                continue;
            }
            Err(e) => return Err(e),
        };
        match decide::undo(sight.source_tail.close(), sight.fenced, &attempt.target) {
            UndoAction::Refuse => return Ok(Undone::TooLate),
            UndoAction::DiscardSuperseded => {
                return discard(context, attempt).await.map(|()| Undone::Superseded);
            }
            // read back: the Fence was seen in the source, by this look
            UndoAction::Discard => {
                info!(object = %attempt.object, target = %attempt.target, "attempt fenced");
                return discard(context, attempt).await.map(|()| Undone::RolledBack);
            }
            UndoAction::Fence => {
                if let Err(e) = fence(context, attempt, &sight).await {
                    retry_or(e, &mut last)?;
                    pause(context).await;
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

fn report(context: &Context, object: &ObjectId) {
    context.reporter.update(|p| {
        p.status = MigrationStatus::RollingBack;
        p.step = Step::RollBack;
        p.object = Some(object.clone());
    });
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

async fn pause(context: &Context) {
    let base = std::time::Duration::from_millis(20);
    context
        .environment
        .clock
        .sleep(context.environment.jittered(base))
        .await;
}

/// Appends the Fence at the tail that was seen, while no other holder has taken over.
pub(crate) async fn fence(context: &Context, attempt: &Attempt, sight: &Sight) -> Result<()> {
    let fence = Fence {
        target: attempt.target.stream.clone(),
        migration: context.migration(),
    };
    context.ensure_in_charge().await?;
    let commit = context.environment.commit_id();
    let source = &attempt.source.stream;
    context
        .store
        .fence(source, &sight.source_tail, commit, fence)
        .await
        .map(drop)
}

/// Removes the target, where the store can; where it cannot, it stays as an orphan that nothing
/// names.
pub(crate) async fn discard(context: &Context, attempt: &Attempt) -> Result<()> {
    if !context.store.capabilities().discard {
        return Ok(());
    }
    context.store.discard(&attempt.target.stream).await
}

/// Removes the targets of all attempts that this migration has fenced in a source: an earlier
/// holder may have crashed between a Fence and its clean-up, and a paused one may have written
/// into a target after it was discarded (R17).
pub(crate) async fn discard_fenced(context: &Context, source: &StreamRef) -> Result<()> {
    if !context.store.capabilities().discard {
        return Ok(());
    }
    let tail = context.store.tail(&source.stream).await?;
    for (target, migration) in fences(&context.store, source, &tail).await? {
        if migration == context.migration() {
            context.store.discard(&target).await?;
        }
    }
    Ok(())
}
