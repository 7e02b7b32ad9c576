//! What follows a Close of the source, this run's or another's.

use futures::future;

use super::{AttemptEnd, ObjectRun, StepOutcome};
use crate::cutover::attempt::{Attempt, Sight};
use crate::cutover::undo;
use crate::cutover::verify::compare;
use crate::error::{Error, ErrorKind, Result};
use crate::migration::limits::hooks::HookPoint;
use crate::migration::step::phases;
use crate::object::{ObjectDocument, TerminatedStream, chain};
use crate::protocol::decisions;
use crate::protocol::phase::MigrationPhase;
use crate::protocol::statistics::{ObjectFate, ObjectReport};
use crate::protocol::status::Step;

impl ObjectRun<'_> {
    /// The source is closed to this attempt's target: updates the document. If another holder
    /// closed it, the closed streams are compared again.
    pub(super) async fn past_the_pivot(
        &mut self,
        attempt: &Attempt,
        sight: &Sight,
        progressed: &compare::Progressed,
    ) -> Result<StepOutcome> {
        let Some(close) = sight.source_tail.close() else {
            return Ok(StepOutcome::Idle);
        };
        self.step = Step::CutOver;
        if self.context.plan.scope.single().is_some() {
            self.context.live.steering.past_the_pivot();
        }
        let source = &attempt.source;
        let cutover = self.context.cutover();
        let closed = self.context.closed(self.object, source);
        let following = async {
            let followed = match self.closed_at {
                Some(_) => closed.follow_own_close(&cutover, close).await,
                None => closed.follow(&cutover).await,
            };
            followed.map(|_| self.context.live.meter.now())
        };
        // phases are hints, and the stream is closed whatever the document says
        let ended = phases::end(
            self.context,
            attempt,
            close.events,
            MigrationPhase::BookClosed,
        );
        let (followed, ()) = future::join(following, ended).await;
        let followed = followed?;
        if let Some(at) = self.closed_at {
            self.redirected = followed.saturating_sub(at);
        }
        self.context
            .call_hooks(HookPoint::AfterCutover, &attempt.object)
            .await?;
        let counted = decisions::Verified {
            source_events: attempt.to_copy(close.events),
            target_events: close.target_events,
        };
        if progressed.is_complete() && progressed.verified() == counted {
            return Ok(StepOutcome::Ended(AttemptEnd::Migrated(Box::new(
                progressed.clone(),
            ))));
        }
        self.step = Step::Verify;
        let (n, m) = (counted.source_events, counted.target_events);
        let progressed = compare::verify_closed(&self.context.cutover(), attempt, n, m).await?;
        Ok(StepOutcome::Ended(AttemptEnd::Migrated(Box::new(
            progressed,
        ))))
    }

    /// R5: updates the document to the winner's Close, then discards this attempt's target.
    pub(super) async fn superseded(
        &mut self,
        attempt: &Attempt,
        sight: &Sight,
    ) -> Result<StepOutcome> {
        let context = self.context;
        chain::help(
            &context.services.stores,
            &context.services.documents,
            self.object,
        )
        .await?;
        undo::discard(attempt).await?;
        self.attempt = None;
        let winner = sight.source_tail.close().map(|c| c.migration.to_string());
        Err(Error::new(
            ErrorKind::Fenced,
            format!(
                "another migration moved {} first: {}",
                self.object,
                winner.unwrap_or_default()
            ),
        ))
    }

    /// Finishes an object whose stream this migration closed in an earlier run, and compares the
    /// streams again.
    pub(super) async fn finish(&mut self, entry: &TerminatedStream) -> Result<ObjectReport> {
        let documents = &self.context.services.documents;
        let document = documents.load(self.object).await?.document;
        let is_listed = |d: &ObjectDocument| d.generation_of(&entry.stream).is_some();
        let document = documents.reaching(document, is_listed).await?;
        let attempt = self.context.won(&document, entry).await?;
        self.step = Step::CutOver;
        (self.context.closed(self.object, &attempt.source))
            .follow(&self.context.cutover())
            .await?;
        let closed = MigrationPhase::BookClosed;
        phases::end(self.context, &attempt, entry.events, closed).await;
        self.step = Step::Verify;
        let (n, m) = (attempt.to_copy(entry.events), entry.continuation_events);
        let progressed = compare::verify_closed(&self.context.cutover(), &attempt, n, m).await?;
        Ok(self.report(&attempt, &progressed))
    }

    pub(super) fn report(
        &self,
        attempt: &Attempt,
        progressed: &compare::Progressed,
    ) -> ObjectReport {
        ObjectReport {
            object: self.object.clone(),
            fate: ObjectFate::Migrated,
            source: Some(attempt.source.clone()),
            target: attempt.target.clone(),
            verification: Some(progressed.result(attempt)),
            counts: progressed.counts().clone(),
            cells: self.cells,
            lost_close_attempts: self.lost_closes,
            redirected: self.redirected,
        }
    }
}
