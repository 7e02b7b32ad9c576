//! From a full target to the document: verified, closed, followed.

use std::time::Duration;

use crate::RollingHash;
use crate::backoff::BackOff;
use crate::backup::restore::fill::of_another_origin;
use crate::backup::restore::place::{Place, exists};
use crate::cutover::Cutover;
use crate::cutover::attempt::{Attempt, Comparison, Sight};
use crate::cutover::close::{ClosedStream, close};
use crate::cutover::target::reader::TargetReader;
use crate::error::{Error, ErrorKind, Result};
use crate::event::Revision;
use crate::id::BackupId;
use crate::object::{ObjectDocument, TerminatedStream, chain};
use crate::protocol::decisions::{self, Action, Observed, Verified};
use crate::store::{BackupSection, Close, ReadFrom, SectionSummary};

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

/// A section that was copied, and the backup it is of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expected<'a> {
    pub(super) backup: &'a BackupId,
    pub(super) summary: &'a SectionSummary,
}

/// Verifies the target and closes the source to it at exactly the tail that was seen, again whenever
/// a concurrent append won (R6). Its success proves that all acknowledged events of the source are
/// before the Close.
///
/// # Errors
/// `VerificationFailed` when the target does not hold what the backup does; `AlreadyExists` when an
/// application has begun the new object meanwhile; `Fenced` when another run has undone the restore,
/// or another migration or restore closed the source first; `Stuck` when concurrent appends won every
/// time: the source is open then. Those of the store, after which the Close may have happened: do the
/// same again.
pub(super) async fn cut_over(
    cutover: &Cutover<'_>,
    place: &Place,
    expected: Expected<'_>,
    sight: Sight,
) -> Result<Close> {
    let attempt = &place.attempt;
    let events = Revision(expected.summary.events);
    let (mut seen, mut verified, mut last) = (Some(sight), None, None);
    let mut back_off = CLOSE;
    loop {
        cutover.supervisor.check()?;
        let sight = match seen.take() {
            Some(sight) => Ok(sight),
            None => attempt.look().await,
        };
        let closed = match sight {
            Ok(sight) => match decide(attempt, &sight, events, verified)? {
                Action::Verify { .. } if verified.is_none() => {
                    verified = Some(verify(cutover, attempt, expected).await?);
                    seen = Some(sight);
                    continue;
                }
                Action::Close { target_events, .. } => {
                    refuse_taken(place, &sight)?;
                    close(cutover, attempt, &sight, target_events).await
                }
                Action::FollowClose | Action::CloseBooks => Ok(sight.source_tail),
                Action::Superseded => return Err(superseded(attempt, &sight)),
                Action::NextAttempt => return Err(undone(attempt)),
                Action::FenceAttempt => {
                    return Err(of_another_origin(attempt));
                }
                // it does not settle at once what was seen in two streams
                Action::Copy { .. } | Action::Verify { .. } | Action::LookAgain => {
                    Err(unsettled(attempt))
                }
            },
            Err(error) => Err(error),
        };
        match closed.map(|tail| tail.close().cloned()) {
            Ok(Some(close)) => return Ok(close),
            Ok(None) => {}
            Err(error) if is_settled_by_looking(&error) => last = Some(error),
            Err(error) => return Err(error),
        }
        if !back_off.pause(cutover.environment).await {
            return Err(given_up(attempt, last));
        }
    }
}

/// The independent second pass: T, read again from its beginning, is what the backup's section is.
/// Where another run has cut over, events of applications follow it.
async fn verify(
    cutover: &Cutover<'_>,
    attempt: &Attempt,
    expected: Expected<'_>,
) -> Result<Verified> {
    let Expected { backup, summary } = expected;
    let (mut count, mut hash) = (0, RollingHash::new());
    let mut target = TargetReader::start(attempt, ReadFrom::Seq(0));
    while count < summary.events
        && let Some((_, copied)) = target.next().await?
    {
        cutover.supervisor.check()?;
        hash.add(&copied.event);
        count += 1;
    }
    if (count, hash.to_string()) == (summary.events, summary.hash.clone()) {
        return Ok(Verified {
            source_events: Revision(count),
            target_events: Revision(count),
        });
    }
    let message = format!(
        "the restored stream is not what backup {backup} holds: {count} events with hash {hash} \
         instead of {} with {}, in {}",
        summary.events, summary.hash, attempt.target
    );
    Err(Error::new(ErrorKind::VerificationFailed, message))
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
            return entry(&closed.follow(cutover).await?, &closed);
        };
        if documents.find(closed.object).await?.is_some() {
            return entry(&closed.follow(cutover).await?, &closed);
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

async fn first_document(
    cutover: &Cutover<'_>,
    closed: &ClosedStream<'_>,
    section: &BackupSection,
) -> Result<ObjectDocument> {
    let end = chain::follow_in(cutover.stores, closed.stream.clone()).await?;
    let now = cutover.environment.clock.now();
    let mut document = ObjectDocument::new(closed.object.clone(), closed.stream.clone(), now);
    if let Some(original) = &section.document {
        document.extra.clone_from(&original.extra);
    }
    chain::follow_all(&mut document, &end);
    closed.complete(&mut document, now);
    Ok(document)
}

fn entry(document: &ObjectDocument, closed: &ClosedStream<'_>) -> Result<TerminatedStream> {
    let mut entries = document.terminated.iter();
    let entry = entries.rfind(|e| e.stream == *closed.stream && e.migration == closed.migration);
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

fn unsettled(attempt: &Attempt) -> Error {
    let message = format!("the target does not fit the source: {}", attempt.target);
    Error::new(ErrorKind::Conflict { actual: None }, message)
}

/// Where concurrent appends won every time the source is open, and the restore is undone; after any
/// other error the Close may have happened, which doing the same again finds out.
fn given_up(attempt: &Attempt, last: Option<Error>) -> Error {
    let source = &attempt.source;
    match last {
        Some(error) if !matches!(error.kind(), ErrorKind::Conflict { .. }) => {
            error.context(format_args!("closing {source}"))
        }
        _ => {
            let message = format!("concurrent appends won {CLOSES} attempts to close {source}");
            Error::new(ErrorKind::Stuck, message)
                .with_hint("the stream is untouched; restore again when there is less traffic")
        }
    }
}
