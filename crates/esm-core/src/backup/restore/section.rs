//! One section, from wherever its restore stands to its end.

use std::sync::Arc;

use tracing::{info, warn};

use super::supervisor::Restoring;
use crate::RollingHash;
use crate::backup::restore::document::{Restoration, help};
use crate::backup::restore::pivot::cut_over;
use crate::backup::restore::place::{Found, Place, fingerprint};
use crate::backup::restore::request::{ReplacedStream, RestoreOptions, RestoreTarget, Restored};
use crate::backup::restore::sink::Sink;
use crate::backup::{BackupService, Monitor};
use crate::cutover;
use crate::cutover::source::scan::CellScan;
use crate::cutover::undo::discard_fenced;
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Event, Revision};
use crate::id::{BackupId, Fingerprint, ObjectId, StreamRef};
use crate::object::TerminatedStream;
use crate::protocol::decisions::Undone;
use crate::store::{BackupManifest, BackupSection, Close, EventStore, ReadFrom, SectionSummary};

/// The restore of one section.
#[derive(Debug)]
pub(super) struct SectionRun<'a> {
    service: &'a BackupService,
    backup: BackupId,
    fingerprint: Fingerprint,
    section: BackupSection,
    /// Whether the object is to be made.
    creates: bool,
    work: Work,
}

#[derive(Debug)]
enum Work {
    /// Events go into the fresh stream; no sink where S was closed to it before.
    Restore(Box<Place>, Option<Box<Sink>>),
    /// Everything is done, but the document may lack something.
    Done(ObjectId, Box<TerminatedStream>),
}

impl<'a> SectionRun<'a> {
    /// # Errors
    /// Those of the store.
    pub(super) async fn begin(
        service: &'a BackupService,
        manifest: &BackupManifest,
        section: BackupSection,
        (target, found): (&RestoreTarget, Found),
        options: &RestoreOptions,
    ) -> Result<Self> {
        let work = match found {
            Found::Done(object, entry) => Work::Done(object, entry),
            Found::Cut(place) => Work::Restore(place, None),
            Found::Begin(place) => {
                if place.attempt.number > 0 {
                    discard_fenced(&place.attempt).await?;
                }
                let origin = place.origin(service.reader.stores(), &section).await?;
                let (store, target) = (&place.store, &place.attempt.target);
                let environment = &service.environment;
                let sink = Sink::open(store, environment, target, origin, options).await?;
                Work::Restore(place, Some(Box::new(sink)))
            }
        };
        Ok(Self {
            service,
            backup: manifest.id.clone(),
            fingerprint: fingerprint(manifest)?,
            section,
            creates: matches!(target, RestoreTarget::NewObject(_)),
            work,
        })
    }

    /// Adds events, in order.
    ///
    /// # Errors
    /// Those of the sink; unless another run has cut over meanwhile.
    pub(super) async fn add(&mut self, events: Vec<Event>) -> Result<()> {
        for event in events {
            let Work::Restore(place, Some(sink)) = &mut self.work else {
                return Ok(());
            };
            if let Err(error) = sink.add(event).await {
                unless_overtaken(place, error).await?;
                self.leave_to_other();
            }
        }
        Ok(())
    }

    /// Finishes the stream, compares it with the backup, cuts over, and has the document follow.
    ///
    /// # Errors
    /// `VerificationFailed` when the stream does not hold what the backup does; those of
    /// [`cut_over`]; those of store and records.
    pub(super) async fn end(
        &mut self,
        summary: &SectionSummary,
        monitor: &dyn Monitor,
    ) -> Result<Restored> {
        let closed = self.cut(summary, monitor).await?;
        let (object, source, restore) = match &self.work {
            Work::Done(object, entry) => (object, &entry.stream, entry.migration),
            Work::Restore(place, _) => {
                let attempt = &place.attempt;
                (&attempt.object, &attempt.source, place.restore)
            }
        };
        let restoration = Restoration {
            object,
            source,
            restore,
            fingerprint: &self.fingerprint,
            new: self.creates.then_some(&self.section),
        };
        let entry = restoration.follow(self.service).await?;
        Ok(self.restored(object, entry, closed))
    }

    /// Brings the restore over its pivot; answers the Close if this run made it or found it where
    /// it wanted to.
    async fn cut(
        &mut self,
        summary: &SectionSummary,
        monitor: &dyn Monitor,
    ) -> Result<Option<Close>> {
        let Work::Restore(place, Some(sink)) = &mut self.work else {
            return Ok(None);
        };
        let events = match sink.finish().await {
            Ok(events) => Revision(events),
            Err(error) => {
                unless_overtaken(place, error).await?;
                self.leave_to_other();
                return Ok(None);
            }
        };
        compare(place, summary, &self.backup, monitor).await?;
        let environment = &self.service.environment;
        cut_over(place, environment, events, monitor)
            .await
            .map(Some)
    }

    fn leave_to_other(&mut self) {
        if let Work::Restore(_, sink) = &mut self.work {
            *sink = None;
        }
    }

    /// Undoes what nothing but a new attempt can mend: Fence, then discard (R17). What another run
    /// of the same may go on with is left; nobody knows of it.
    pub(super) async fn fail(self, error: Error) -> Error {
        let Work::Restore(place, Some(sink)) = &self.work else {
            return error;
        };
        let object = &place.attempt.object;
        let error = error.context(format_args!("restoring {object}"));
        let goes_on = error.is_retryable() || *error.kind() == ErrorKind::Cancelled;
        if goes_on || sink.is_untouched() {
            return error;
        }
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
            help(self.service, &place.attempt.object).await?;
        }
        Ok(undone)
    }

    fn restored(
        &self,
        object: &ObjectId,
        entry: TerminatedStream,
        closed: Option<Close>,
    ) -> Restored {
        let (all, events) = (entry.events.0, entry.continuation_events.0);
        let appended = match (&self.work, &closed) {
            (Work::Restore(place, _), Some(close)) => {
                Some(close.events.0.saturating_sub(place.source_events))
            }
            _ => None,
        };
        let same_stream = self.section.stream == entry.stream;
        let replaced = ReplacedStream {
            stream: entry.stream,
            events: all,
            left_behind: same_stream.then(|| all.saturating_sub(events)),
            appended_meanwhile: appended,
        };
        Restored {
            backup: self.backup.clone(),
            source: self.section.object.clone(),
            object: object.clone(),
            stream: entry.continuation,
            events,
            already: closed.is_none(),
            replaced: (!self.creates).then_some(replaced),
        }
    }
}

/// Fences S and discards T.
///
/// # Errors
/// `Stuck`; those of the store.
pub(super) async fn undo(service: &BackupService, place: &Place) -> Result<Undone> {
    let restoring = Restoring::new(service, None, RestoreOptions::default());
    cutover::undo::undo(&restoring.cutover(), &place.attempt).await
}

/// Goes on if the error only says that another run of this restore has cut over.
async fn unless_overtaken(place: &Place, error: Error) -> Result<()> {
    let overtaken = matches!(error.kind(), ErrorKind::Conflict { actual: None });
    if overtaken {
        let tail = place.store.tail(&place.attempt.source.stream).await?;
        let target = tail.close().and_then(|close| close.target.as_ref());
        if target == Some(&place.attempt.target) {
            return Ok(());
        }
    }
    Err(error)
}

/// The independent second pass: T, read again from its beginning, is what the backup's section is.
/// What stands behind that many events is applications': then another run has cut over.
async fn compare(
    place: &Place,
    summary: &SectionSummary,
    backup: &BackupId,
    monitor: &dyn Monitor,
) -> Result<()> {
    let target = &place.attempt.target;
    let (count, hash) = read_back(&place.store, target, summary.events, monitor).await?;
    if (count, hash.to_string()) == (summary.events, summary.hash.clone()) {
        return Ok(());
    }
    let message = format!(
        "the restored stream is not what backup {backup} holds: {count} events with hash {hash} \
         instead of {} with {}, in {target}",
        summary.events, summary.hash
    );
    Err(Error::new(ErrorKind::VerificationFailed, message))
}

async fn read_back(
    store: &Arc<dyn EventStore>,
    stream: &StreamRef,
    most: u64,
    monitor: &dyn Monitor,
) -> Result<(u64, RollingHash)> {
    let (mut count, mut hash) = (0, RollingHash::new());
    let mut cells = CellScan::start(store, stream, ReadFrom::Seq(0));
    while let Some(page) = cells.next().await? {
        monitor.check()?;
        for copied in page.cells.iter().flat_map(|cell| &cell.events) {
            if count == most {
                return Ok((count, hash));
            }
            hash.add(&copied.event);
            count += 1;
        }
    }
    Ok((count, hash))
}
