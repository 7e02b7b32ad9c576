//! One section, from wherever its restore has got to, to its end.

mod prefix;

use tracing::{info, warn};

use crate::backup::checked::CheckedReader;
use crate::backup::progress::Watch;
use crate::backup::restore::fill::{Filling, UNKNOWN, moved_on};
use crate::backup::restore::pivot::{Pivot, decide, follow, of_another_origin, superseded, undone};
use crate::backup::restore::place::{Found, Place, fingerprint};
use crate::backup::restore::request::{ReplacedStream, RestoreOptions, RestoreUntil, Restored};
use crate::backup::restore::supervisor::Restoring;
use crate::backup::{BackupService, Monitor as _};
use crate::cutover::attempt::{Attempt, Sight};
use crate::cutover::close::ClosedStream;
use crate::cutover::undo::discard_fenced;
use crate::cutover::{self, Cutover};
use crate::error::{Error, ErrorKind, Result};
use crate::event::Event;
use crate::id::ObjectId;
use crate::object::{TerminatedStream, chain};
use crate::protocol::decisions::{Action, Undone};
use crate::store::{BackupItem, BackupManifest, BackupSection, SectionSummary};

pub(super) use prefix::Prefix;

/// The events of a section that are restored, as the backup is read.
pub(super) struct SectionEvents<'a> {
    reader: &'a mut CheckedReader,
    watch: &'a Watch,
    prefix: Prefix,
    end: Option<SectionSummary>,
}

impl<'a> SectionEvents<'a> {
    pub(super) fn new(
        reader: &'a mut CheckedReader,
        watch: &'a Watch,
        until: Option<RestoreUntil>,
    ) -> Self {
        Self {
            reader,
            watch,
            prefix: Prefix::new(until),
            end: None,
        }
    }

    /// The next events; none at the section's end.
    ///
    /// # Errors
    /// `Cancelled`; those of the reader, and of [`Prefix::keep`].
    async fn next(&mut self) -> Result<Option<Vec<Event>>> {
        while self.end.is_none() {
            self.watch.check()?;
            match self.reader.next().await? {
                Some(BackupItem::Events(events)) => {
                    let all = events.len();
                    let kept = self.prefix.keep(events)?;
                    self.watch.passed((all - kept.len()) as u64);
                    return Ok(Some(kept));
                }
                Some(BackupItem::End(summary)) => self.end = Some(summary),
                Some(BackupItem::Section(_)) | None => return Err(without_end()),
            }
        }
        Ok(None)
    }

    /// What is restored of the section.
    ///
    /// # Errors
    /// As [`Prefix::summary`].
    fn summary(&self) -> Result<SectionSummary> {
        let end = self.end.clone().ok_or_else(without_end)?;
        self.prefix.summary(end)
    }

    async fn skip(&mut self) -> Result<()> {
        while let Some(events) = self.next().await? {
            self.watch.passed(events.len() as u64);
        }
        Ok(())
    }
}

fn without_end() -> Error {
    Error::corrupt("a section of the backup has no end")
}

/// The restore of one section.
pub(super) struct SectionRun<'a> {
    pub(super) service: &'a BackupService,
    pub(super) cutover: &'a Cutover<'a>,
    pub(super) manifest: &'a BackupManifest,
    pub(super) section: &'a BackupSection,
    /// Whether the object is to be made.
    pub(super) creates: bool,
}

/// What a run knows of a Close that it made, or found when it was about to.
#[derive(Debug, Clone, Copy)]
struct OwnClose {
    /// Events that were appended to the source while this run worked.
    appended_meanwhile: u64,
}

impl SectionRun<'_> {
    /// Brings the section to the end of its restore: the document follows too.
    ///
    /// # Errors
    /// Those of [`Pivot::cut_over`]; those of the backup, of store and records.
    pub(super) async fn run(
        &self,
        found: Found,
        events: &mut SectionEvents<'_>,
    ) -> Result<Restored> {
        let (replaced, own_close) = match found {
            Found::Cut(replaced) => (replaced, None),
            Found::Begin(mut place) => {
                let own_close = self.move_over(&mut place, events).await?;
                (place.replaced(), own_close)
            }
        };
        events.skip().await?;
        let closed = ClosedStream {
            object: &replaced.object,
            stream: &replaced.source,
            migration: replaced.restore,
            fingerprint: &fingerprint(self.manifest)?,
            close_books: None,
        };
        let new = self.creates.then_some(self.section);
        let entry = follow(self.cutover, closed, new).await?;
        Ok(self.restored(replaced.object, entry, own_close))
    }

    /// Copies the section and closes the source to the copy. Nothing is returned when another run of
    /// this restore has done it.
    async fn move_over(
        &self,
        place: &mut Place,
        events: &mut SectionEvents<'_>,
    ) -> Result<Option<OwnClose>> {
        if place.attempt.has_fences {
            discard_fenced(&place.attempt).await?;
        }
        let sight = place.look_at_target().await?;
        let mut untouched = sight.target_tail.is_empty();
        if untouched {
            let stores = self.cutover.stores;
            place.learn_retired(stores, self.section).await?;
        }
        let attempt = &place.attempt;
        let closed = async {
            let mut filling = begin(self.cutover, attempt, &sight)?;
            let filled = fill(&mut filling, events).await;
            untouched = filling.tail().is_empty();
            let summary = filled?;
            let pivot = Pivot {
                cutover: self.cutover,
                place,
                backup: &self.manifest.id,
                summary: &summary,
                seen: Some(Sight {
                    target_tail: filling.tail().clone(),
                    origin: sight.origin.or_else(|| Some(attempt.origin())),
                    ..sight
                }),
                verified: None,
            };
            pivot.cut_over().await
        };
        let error = match closed.await {
            Ok(close) => {
                let before = place.source_tail.next_revision().0;
                let appended_meanwhile = close.events.0.saturating_sub(before);
                return Ok(Some(OwnClose { appended_meanwhile }));
            }
            Err(error) => error,
        };
        match unless_ended(attempt, error).await {
            Ok(()) => Ok(None),
            Err(error) if untouched => Err(in_object(attempt, error)),
            Err(error) => Err(self
                .undo_unless_resumed(place, in_object(attempt, error))
                .await),
        }
    }

    /// Undoes what only a new attempt can mend: Fence, then discard (R17). What another run of the
    /// same restore may resume is kept; nothing names it.
    async fn undo_unless_resumed(&self, place: &Place, error: Error) -> Error {
        if error.is_retryable() || *error.kind() == ErrorKind::Cancelled {
            return error;
        }
        let object = &place.attempt.object;
        match self.undo(place).await {
            Ok(undone) => {
                info!(%object, ?undone, "restore undone");
                error
            }
            Err(cause) => {
                warn!(%object, %cause, "restore could not be undone");
                error.with_hint(format!(
                    "{} could not be fenced off: abandon the restore, or do it again",
                    place.attempt.target
                ))
            }
        }
    }

    async fn undo(&self, place: &Place) -> Result<Undone> {
        let undone = undo(self.service, place).await?;
        if undone == Undone::Superseded && !place.creates {
            // R5: finish the winner's document
            let Cutover {
                stores, documents, ..
            } = *self.cutover;
            chain::help(stores, documents, &place.attempt.object).await?;
        }
        Ok(undone)
    }

    fn restored(
        &self,
        object: ObjectId,
        entry: TerminatedStream,
        own_close: Option<OwnClose>,
    ) -> Restored {
        let (all, events) = (entry.events.0, entry.continuation_events.0);
        let same_stream = self.section.stream == entry.stream;
        let replaced = ReplacedStream {
            stream: entry.stream,
            events: all,
            left_behind: same_stream.then(|| all.saturating_sub(events)),
            appended_meanwhile: own_close.map(|close| close.appended_meanwhile),
        };
        Restored {
            backup: self.manifest.id.clone(),
            source: self.section.object.clone(),
            object,
            stream: entry.continuation,
            events,
            already: own_close.is_none(),
            replaced: (!self.creates).then_some(replaced),
        }
    }
}

/// Begins the target of an attempt, or continues it where it ends.
fn begin<'a>(cutover: &'a Cutover<'a>, attempt: &'a Attempt, sight: &Sight) -> Result<Filling<'a>> {
    match decide(attempt, sight, UNKNOWN, None)? {
        Action::Copy { from } => Filling::resume(cutover, attempt, sight.target_tail.clone(), from),
        Action::FenceAttempt => Err(of_another_origin(attempt)),
        _ => Err(moved_on(attempt)),
    }
}

async fn fill(filling: &mut Filling<'_>, events: &mut SectionEvents<'_>) -> Result<SectionSummary> {
    while let Some(page) = events.next().await? {
        let count = page.len() as u64;
        for event in page {
            filling.add(event).await?;
        }
        events.watch.passed(count);
    }
    let summary = events.summary()?;
    filling.finish().await?;
    Ok(summary)
}

/// Fences S and discards T.
///
/// # Errors
/// `Stuck`; those of the store.
pub(super) async fn undo(service: &BackupService, place: &Place) -> Result<Undone> {
    let restoring = Restoring::new(service, None, RestoreOptions::default());
    cutover::undo::undo(&restoring.cutover(), &place.attempt).await
}

/// Returns no error where another run of this restore has cut over. Where the attempt has ended
/// otherwise, that is the error.
async fn unless_ended(attempt: &Attempt, error: Error) -> Result<()> {
    let is_of_target = matches!(
        error.kind(),
        ErrorKind::Conflict { .. }
            | ErrorKind::Corrupt
            | ErrorKind::Gone
            | ErrorKind::VerificationFailed
    );
    if !is_of_target {
        return Err(error);
    }
    let Ok(sight) = attempt.look().await else {
        return Err(error);
    };
    match decide(attempt, &sight, UNKNOWN, None) {
        Ok(Action::FollowClose | Action::CloseBooks) => Ok(()),
        Ok(Action::Superseded) => Err(superseded(attempt, &sight)),
        Ok(Action::NextAttempt) => Err(undone(attempt)),
        _ => Err(error),
    }
}

fn in_object(attempt: &Attempt, error: Error) -> Error {
    error.context(format_args!("restoring {}", attempt.object))
}
