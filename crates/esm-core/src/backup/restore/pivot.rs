//! From a full target to the document: verified, closed, followed.

use std::time::Duration;

use crate::RollingHash;
use crate::backoff::BackOff;
use crate::backup::restore::place::{Place, exists};
use crate::cutover::Cutover;
use crate::cutover::attempt::{Attempt, Comparison, Sight};
use crate::cutover::close::{Charge, ClosedStream, close};
use crate::cutover::target::reader::TargetReader;
use crate::error::{Error, ErrorKind, Result};
use crate::event::Revision;
use crate::id::BackupId;
use crate::object::{ObjectDocument, TerminatedStream, chain};
use crate::protocol::decisions::{self, Action, Observed, Verified};
use crate::store::{BackupSection, Close, ReadFrom, SectionSummary, Tail};

/// Close attempts that concurrent appends may win, or whose outcome is unknown, before giving up.
const CLOSES: u32 = 64;
const CLOSE: BackOff = BackOff::new(
    CLOSES,
    Duration::from_millis(10),
    Duration::from_millis(320),
);

/// Attempts to create a document while the outcome of the one before is unknown.
const CREATE: BackOff = BackOff::new(8, Duration::from_millis(20), Duration::from_millis(160));

/// What to do next about a restore. It copies a section with this many events, however many the
/// source has.
///
/// # Errors
/// `Conflict` for a target that another wrote.
pub(super) fn decide(
    attempt: &Attempt,
    sight: &Sight,
    events: Revision,
    verified: Option<Verified>,
) -> Result<Action> {
    let comparison = Comparison {
        compared: verified.map_or(Revision::START, |verified| verified.source_events),
        verified,
    };
    // the section does not grow, so all of it is copied before any of it is compared
    let final_round = 0;
    // the document does not matter: what follows the Close is the same
    let observed = attempt.observed(sight, comparison, true, final_round)?;
    Ok(decisions::next(&Observed {
        source_events: events,
        ..observed
    }))
}

/// A target that is full, on its way to take the source's place.
pub(super) struct Pivot<'a> {
    pub(super) cutover: &'a Cutover<'a>,
    pub(super) place: &'a Place,
    pub(super) backup: &'a BackupId,
    /// The section that the target must hold.
    pub(super) summary: &'a SectionSummary,
    /// What is known of both streams; nothing once it may have changed.
    pub(super) seen: Option<Sight>,
    pub(super) verified: Option<Verified>,
}

impl Pivot<'_> {
    /// Verifies the target and closes the source to it at exactly the tail that was seen, again
    /// whenever a concurrent append won (R6). Its success proves that all acknowledged events of the
    /// source are before the Close.
    ///
    /// # Errors
    /// `VerificationFailed` when the target does not hold what the backup does; `AlreadyExists` when
    /// an application has begun the new object meanwhile; `Fenced` when another run has undone the
    /// restore, or another migration or restore closed the source first; `Stuck` when concurrent
    /// appends won every time: the source is open then. Those of the store, after which the Close may
    /// have happened: do the same again.
    pub(super) async fn cut_over(mut self) -> Result<Close> {
        let mut back_off = CLOSE;
        loop {
            self.cutover.supervisor.check()?;
            let error = match self.turn().await {
                Ok(Some(close)) => return Ok(close),
                Ok(None) => continue,
                Err(error) => error,
            };
            if !is_settled_by_looking(&error) {
                return Err(error);
            }
            if !back_off.pause(self.cutover.environment).await {
                return Err(given_up(&self.place.attempt, error));
            }
        }
    }

    /// Does the one thing that comes next. Returns the Close once there is one.
    async fn turn(&mut self) -> Result<Option<Close>> {
        let attempt = &self.place.attempt;
        let sight = match self.seen.take() {
            Some(sight) => sight,
            None => attempt.look().await?,
        };
        let events = Revision(self.summary.events);
        match decide(attempt, &sight, events, self.verified)? {
            Action::Verify { .. } if self.verified.is_none() => {
                self.verified = Some(self.verify().await?);
                self.seen = Some(sight);
                Ok(None)
            }
            Action::Close { target_events, .. } => {
                refuse_taken(self.place, &sight)?;
                let tail = close(
                    self.cutover,
                    attempt,
                    &sight,
                    target_events,
                    Charge::Unknown,
                )
                .await?;
                close_of(attempt, &tail).map(Some)
            }
            Action::FollowClose | Action::CloseBooks => {
                close_of(attempt, &sight.source_tail).map(Some)
            }
            Action::Superseded => Err(superseded(attempt, &sight)),
            Action::NextAttempt => Err(undone(attempt)),
            Action::FenceAttempt => Err(of_another_origin(attempt)),
            // two streams are not read at the same time, so the next look fits
            Action::Copy { .. } | Action::Verify { .. } | Action::LookAgain => {
                Err(unsettled(attempt))
            }
        }
    }

    /// The independent second pass: the target, read again from its beginning, is what the section
    /// is. Where another run has cut over, events of applications follow it.
    async fn verify(&self) -> Result<Verified> {
        let (attempt, summary) = (&self.place.attempt, self.summary);
        let (mut count, mut hash) = (0, RollingHash::new());
        let mut target = TargetReader::start(attempt, ReadFrom::Seq(0));
        while count < summary.events
            && let Some((_, copied)) = target.next().await?
        {
            self.cutover.supervisor.check()?;
            hash.add(&copied.event);
            count += 1;
        }
        let hash = hash.to_string();
        if count == summary.events && hash == summary.hash {
            return Ok(Verified {
                source_events: Revision(count),
                target_events: Revision(count),
            });
        }
        let message = format!(
            "the restored stream is not what backup {} holds: {count} events with hash {hash} \
             instead of {} with {}, in {}",
            self.backup, summary.events, summary.hash, attempt.target
        );
        Err(Error::new(ErrorKind::VerificationFailed, message))
    }
}

/// A new object begins with the restored events, or not by this restore.
fn refuse_taken(place: &Place, sight: &Sight) -> Result<()> {
    if place.creates && sight.source_tail.next_revision() > Revision::START {
        return Err(exists(&place.attempt.object));
    }
    Ok(())
}

/// Makes the document name the chain's end, keeping every other field; a new object gets one, with
/// the user's fields of the section. Helpers may have done a part of it already. Returns the entry of
/// the closed stream.
///
/// # Errors
/// Those of the store and the records. Do the same again.
pub(super) async fn follow(
    cutover: &Cutover<'_>,
    closed: ClosedStream<'_>,
    new: Option<&BackupSection>,
) -> Result<TerminatedStream> {
    let documents = cutover.documents;
    let mut back_off = CREATE;
    loop {
        let Some(section) = new else {
            return updated(cutover, &closed).await;
        };
        if documents.find(closed.object).await?.is_some() {
            return updated(cutover, &closed).await;
        }
        let document = first_document(cutover, &closed, section).await?;
        match documents.create(&document).await {
            Ok(()) => return entry(&document, &closed),
            // the next round finds whose it is; one of an application is updated
            Err(e) if matches!(e.kind(), ErrorKind::Conflict { .. } | ErrorKind::Ambiguous) => {}
            Err(e) => return Err(e),
        }
        if !back_off.pause(cutover.environment).await {
            let message = format!("creating has an unknown outcome: {}", closed.object);
            let error = Error::new(ErrorKind::Ambiguous, message);
            return Err(error.with_hint("restore again: that is safe"));
        }
    }
}

/// Updates the document of an object that exists. The stream that was replaced may have lost cells.
async fn updated(cutover: &Cutover<'_>, closed: &ClosedStream<'_>) -> Result<TerminatedStream> {
    let document = cutover.documents.load(closed.object).await?.document;
    let end = chain::follow_damaged(cutover.stores, &document).await?;
    entry(&closed.follow_to(cutover, &end).await?, closed)
}

async fn first_document(
    cutover: &Cutover<'_>,
    closed: &ClosedStream<'_>,
    section: &BackupSection,
) -> Result<ObjectDocument> {
    let now = cutover.environment.clock.now();
    let mut document = ObjectDocument::new(closed.object.clone(), closed.stream.clone(), now);
    let end = chain::follow_in(cutover.stores, &document).await?;
    if let Some(original) = &section.document {
        document.extra.clone_from(&original.extra);
    }
    chain::follow_all(&mut document, &end);
    closed.complete(&mut document, now);
    Ok(document)
}

fn entry(document: &ObjectDocument, closed: &ClosedStream<'_>) -> Result<TerminatedStream> {
    let entry = document.terminated(closed.stream);
    let entry = entry.filter(|entry| entry.migration == closed.migration);
    entry.cloned().ok_or_else(|| {
        let (object, stream) = (closed.object, closed.stream);
        Error::corrupt(format!(
            "the document of {object} does not know of {stream}"
        ))
    })
}

fn is_settled_by_looking(error: &Error) -> bool {
    error.is_retryable() || matches!(error.kind(), ErrorKind::Closed(_))
}

/// Another run gave this attempt up: its Fence is in the source.
pub(super) fn undone(attempt: &Attempt) -> Error {
    let message = format!(
        "another run of this restore has undone it: {}",
        attempt.target
    );
    Error::new(ErrorKind::Fenced, message).with_hint("restore again: it begins anew")
}

pub(super) fn superseded(attempt: &Attempt, sight: &Sight) -> Error {
    let winner = sight
        .source_tail
        .close()
        .map(|close| close.migration.to_string());
    let message = format!(
        "another migration or restore has moved {} first: {}",
        attempt.object,
        winner.unwrap_or_default()
    );
    Error::new(ErrorKind::Fenced, message)
        .with_hint("restore again, in the place of the new stream")
}

fn close_of(attempt: &Attempt, tail: &Tail) -> Result<Close> {
    tail.close().cloned().ok_or_else(|| unsettled(attempt))
}

fn unsettled(attempt: &Attempt) -> Error {
    let message = format!("the target does not fit the source: {}", attempt.target);
    Error::new(ErrorKind::Conflict { actual: None }, message)
}

/// Where concurrent appends won every time the source is open, and the restore is undone; after any
/// other error the Close may have happened, which doing the same again finds out.
fn given_up(attempt: &Attempt, last: Error) -> Error {
    let source = &attempt.source;
    if !matches!(last.kind(), ErrorKind::Conflict { .. }) {
        return last.context(format_args!("closing {source}"));
    }
    let message = format!("concurrent appends won {CLOSES} attempts to close {source}");
    Error::new(ErrorKind::Stuck, message)
        .with_hint("the stream is untouched; restore again when there is less traffic")
}

/// The target's first cell is not what this restore writes there.
pub(super) fn of_another_origin(attempt: &Attempt) -> Error {
    differs(attempt, "the origin")
}

pub(super) fn differs(attempt: &Attempt, what: &str) -> Error {
    Error::corrupt(format!(
        "an earlier run of this restore has left something else than the backup holds: {what} of {}",
        attempt.target
    ))
    .with_hint("restore again: it begins anew")
}

#[cfg(test)]
mod tests;
