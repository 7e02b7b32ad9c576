//! Closes the source, which is the pivot, and updates the document.

use std::collections::BTreeMap;

use jiff::Timestamp;
use tracing::info;

use crate::cutover::Cutover;
use crate::cutover::attempt::{Attempt, Sight};
use crate::cutover::supervisor::Report;
use crate::error::Result;
use crate::event::Revision;
use crate::id::{Fingerprint, MigrationId, ObjectId, StreamRef};
use crate::object::{ChainEnd, ObjectDocument, TerminatedStream, chain};
use crate::protocol::plan::BookClosing;
use crate::protocol::status::{MigrationStatus, Step};
use crate::store::{Close, LastCell, Tail};

/// Whether the journal was read since the target's first cell was acknowledged, and showed no other
/// holder (R24). Such a read serves one attempt to close.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Charge {
    /// It was, and nothing was waited for since.
    Ensured,
    /// It is to be read before the Close.
    #[default]
    Unknown,
}

/// Closes the source at exactly the observed and verified tail, and returns the tail with the
/// Close. Its success proves that the target holds every event of the source.
///
/// # Errors
/// `Conflict` when a concurrent append won, `Closed` when another migrator did, `Ambiguous`: the caller
/// must then observe the streams again. `Fenced` when another holder has taken over.
pub(crate) async fn close(
    cutover: &Cutover<'_>,
    attempt: &Attempt,
    sight: &Sight,
    target_events: Revision,
    charge: Charge,
) -> Result<Tail> {
    cutover.supervisor.report(Report::Begins {
        status: MigrationStatus::CuttingOver,
        step: Step::CutOver,
        object: &attempt.object,
    });
    // the last safe point: after the Close the migration can only be completed
    cutover.supervisor.check()?;
    if charge == Charge::Unknown {
        cutover.supervisor.ensure_in_charge().await?;
    }
    let close = Close {
        target: Some(attempt.target.clone()),
        events: sight.source_tail.next_revision(),
        target_events,
        migration: attempt.migration,
        continues: attempt.continues,
        target_last: sight.target_tail.last.as_ref().map(LastCell::from),
    };
    let commit = cutover.environment.commit_id();
    let source = &attempt.source.stream;
    let closed = attempt
        .source_store
        .close(source, &sight.source_tail, commit, close)
        .await?;
    info!(object = %attempt.object, target = %attempt.target, "source closed");
    Ok(closed)
}

/// A stream that a run has closed, with the details that only this run has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClosedStream<'a> {
    pub(crate) object: &'a ObjectId,
    pub(crate) stream: &'a StreamRef,
    pub(crate) migration: MigrationId,
    pub(crate) fingerprint: &'a Fingerprint,
    pub(crate) close_books: Option<&'a BookClosing>,
}

impl ClosedStream<'_> {
    /// Updates the document after a Close that this process has just written.
    ///
    /// # Errors
    /// Those of the records.
    pub(crate) async fn follow_own_close(
        &self,
        cutover: &Cutover<'_>,
        close: &Close,
    ) -> Result<ObjectDocument> {
        let now = cutover.environment.clock.now();
        let follow = |document: &mut ObjectDocument| {
            let followed = document.follow(self.stream, close);
            self.complete(document, now) || followed
        };
        self.update(cutover, follow).await
    }

    /// Updates the document to the end of its chain, with all details of the closed stream. Other
    /// processes may have done a part of it already.
    ///
    /// # Errors
    /// Those of the store and the records.
    pub(crate) async fn follow(&self, cutover: &Cutover<'_>) -> Result<ObjectDocument> {
        let document = cutover.documents.load(self.object).await?.document;
        let end = chain::follow_in(cutover.stores, &document).await?;
        self.follow_to(cutover, &end).await
    }

    /// As [`follow`](Self::follow), to this end of the chain.
    ///
    /// # Errors
    /// Those of the records.
    pub(crate) async fn follow_to(
        &self,
        cutover: &Cutover<'_>,
        end: &ChainEnd,
    ) -> Result<ObjectDocument> {
        let now = cutover.environment.clock.now();
        let follow = |document: &mut ObjectDocument| {
            let followed = chain::follow_all(document, end);
            self.complete(document, now) || followed
        };
        self.update(cutover, follow).await
    }

    async fn update(
        &self,
        cutover: &Cutover<'_>,
        follow: impl FnMut(&mut ObjectDocument) -> bool + Send,
    ) -> Result<ObjectDocument> {
        let documents = cutover.documents;
        documents
            .update_terminated(self.object, self.stream, follow)
            .await
    }

    /// Adds the details that other processes cannot know; without an archive, also closes the
    /// books. Returns whether the document changed.
    pub(crate) fn complete(&self, document: &mut ObjectDocument, now: Timestamp) -> bool {
        let entry = document.terminated_mut(self.stream);
        let Some(entry) = entry.filter(|entry| entry.migration == self.migration) else {
            return false;
        };
        let before = entry.clone();
        entry.fingerprint = Some(self.fingerprint.clone());
        if let Some(books) = self.close_books.filter(|books| books.archive.is_none()) {
            stamp_books(entry, &books.metadata, now);
        }
        *entry != before
    }
}

/// Records in a terminated stream's entry that its books are closed.
pub(crate) fn stamp_books(
    entry: &mut TerminatedStream,
    metadata: &BTreeMap<String, String>,
    now: Timestamp,
) {
    if entry.books_closed_at.is_none() {
        entry.books_closed_at = Some(now);
        entry.metadata.extend(metadata.clone());
    }
}
