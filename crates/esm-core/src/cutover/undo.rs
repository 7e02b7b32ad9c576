//! The undo, before the pivot: Fence the source, then discard the target (R17).

use std::sync::Arc;

use tracing::info;

use crate::clock::Environment;
use crate::cutover::attempt::{Attempt, Sight, fences};
use crate::error::{Error, ErrorKind, Result};
use crate::id::{MigrationId, ObjectId, StreamId, StreamRef};
use crate::migration::run::context::Context;
use crate::migration::step::phases;
use crate::object::ObjectDocument;

use crate::protocol::decisions::{self as decide, UndoAction, Undone};
use crate::protocol::phase::MigrationPhase;
use crate::protocol::status::{MigrationStatus, Step};
use crate::store::{EventStore, Fence};

/// Fences tried before an undo is given up because writers keep being faster.
const FENCE_TRIES: usize = 64;

/// Who undoes: a migration, or a restore.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Undoer<'a> {
    pub(crate) environment: &'a Environment,
    pub(crate) migration: MigrationId,
    /// Says whether another holder has taken over; a restore has none.
    pub(crate) context: Option<&'a Context>,
}

impl<'a> From<&'a Context> for Undoer<'a> {
    fn from(context: &'a Context) -> Self {
        Self {
            environment: &context.environment,
            migration: context.migration(),
            context: Some(context),
        }
    }
}

/// Undoes one attempt.
///
/// # Errors
/// As [`Undoer::undo`].
pub(crate) async fn undo(context: &Context, attempt: &Attempt) -> Result<Undone> {
    report(context, &attempt.object);
    let undone = Undoer::from(context).undo(attempt).await?;
    if undone != Undone::TooLate {
        let tail = attempt.source_store.tail(&attempt.source.stream).await?;
        let events = tail.next_revision();
        phases::end(context, attempt, events, MigrationPhase::Normal).await;
    }
    Ok(undone)
}

impl Undoer<'_> {
    /// Undoes one attempt.
    ///
    /// # Errors
    /// `Stuck` when the Fence could not be placed: the target is kept then. Those of the store.
    pub(crate) async fn undo(&self, attempt: &Attempt) -> Result<Undone> {
        let mut last = None;
        for _ in 0..FENCE_TRIES {
            let sight = match attempt.look().await {
                Ok(sight) => sight,
                Err(e) if e.is_retryable() => {
                    last = Some(e);
                    pause(self.environment).await;
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
                    return Ok(self.abandon(attempt, &sight));
                }
                UndoAction::Fence => {
                    if let Err(e) = self.fence(attempt, &sight).await {
                        retry_or(e, &mut last)?;
                        pause(self.environment).await;
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
    /// ever will be closed to, if it is a migration's: see [`Context::ensure_in_charge`].
    fn abandon(&self, attempt: &Attempt, sight: &Sight) -> Undone {
        if self.context.is_some() && sight.target_tail.is_empty() {
            return Undone::RolledBack;
        }
        info!(object = %attempt.object, target = %attempt.target, "attempt abandoned");
        Undone::Abandoned
    }

    /// Appends the Fence at the tail that was seen, while no other holder has taken over.
    async fn fence(&self, attempt: &Attempt, sight: &Sight) -> Result<()> {
        let fence = Fence {
            target: attempt.target.stream.clone(),
            migration: self.migration,
        };
        if let Some(context) = self.context {
            context.ensure_in_charge().await?;
        }
        let commit = self.environment.commit_id();
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
    pub(crate) async fn discard_fenced(
        &self,
        source: (&Arc<dyn EventStore>, &StreamRef),
        target_store: &Arc<dyn EventStore>,
    ) -> Result<()> {
        if !target_store.capabilities().discard {
            return Ok(());
        }
        let (source_store, source) = source;
        let tail = source_store.tail(&source.stream).await?;
        for (target, migration) in fences(source_store, source, &tail).await? {
            if migration == self.migration {
                target_store.discard(&target).await?;
            }
        }
        Ok(())
    }
}

/// Removes a target, where the store can; where it cannot, it stays as an orphan that nothing names.
async fn discard_in(store: &Arc<dyn EventStore>, target: &StreamId) -> Result<()> {
    match store.capabilities().discard {
        true => store.discard(target).await,
        false => Ok(()),
    }
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

async fn pause(environment: &Environment) {
    let base = std::time::Duration::from_millis(20);
    environment.clock.sleep(environment.jittered(base)).await;
}

/// Appends the Fence at the tail that was seen, while no other holder has taken over.
pub(crate) async fn fence(context: &Context, attempt: &Attempt, sight: &Sight) -> Result<()> {
    Undoer::from(context).fence(attempt, sight).await
}

/// Removes the target, where the store can.
pub(crate) async fn discard(attempt: &Attempt) -> Result<()> {
    discard_in(&attempt.target_store, &attempt.target.stream).await
}

/// As [`Undoer::discard_fenced`], of the source of this attempt.
pub(crate) async fn discard_fenced(context: &Context, attempt: &Attempt) -> Result<()> {
    let source = (&attempt.source_store, &attempt.source);
    Undoer::from(context)
        .discard_fenced(source, &attempt.target_store)
        .await
}

/// R5: removes what this migration had begun from streams that others have closed since: who goes
/// on with it, or undoes it, begins at the stream that is active now.
pub(crate) async fn discard_superseded(context: &Context, document: &ObjectDocument) -> Result<()> {
    for (generation, entry) in document.terminated.iter().enumerate() {
        let source = entry.stream.clone();
        let attempt = Attempt::current(context, document, source, generation).await?;
        if entry.continuation != attempt.target {
            discard(&attempt).await?;
        }
        if attempt.number > 0 {
            discard_fenced(context, &attempt).await?;
        }
    }
    Ok(())
}
