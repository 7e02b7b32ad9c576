//! The stretches of streams that an attempt copies: one stream to its end, or the originals
//! followed by the events appended to their continuation since.

use std::sync::Arc;

use crate::cutover::attempt::Attempt;
use crate::cutover::source::cells::CheckedPage;
use crate::cutover::source::originals::Originals;
use crate::error::{Error, Result};
use crate::event::Revision;
use crate::id::StreamRef;
use crate::store::{EventStore, ReadFrom};
use crate::transform::{Identity, Mapper};

/// A stretch of a stream whose events are copied.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) store: Arc<dyn EventStore>,
    pub(crate) stream: StreamRef,
    pub(crate) from: ReadFrom,
    /// The cells of the stream, where they are known.
    pub(crate) cells: Option<u64>,
    part: Part,
}

/// The part of the copied events that a segment holds.
#[derive(Debug)]
enum Part {
    /// All copied events.
    Whole,
    /// The originals: copied unchanged from their closed stream.
    Originals(Arc<Originals>),
    /// The events since the Close, numbered after the originals.
    Since(Arc<Originals>),
}

/// Returns the segments that an attempt copies, starting at a cell of the source (an attempt
/// without originals only) or at a revision among the copied events.
pub(crate) fn segments(attempt: &Attempt, from: ReadFrom) -> Vec<Segment> {
    let source = |from, part| Segment {
        store: Arc::clone(&attempt.source_store),
        stream: attempt.source.clone(),
        from,
        cells: None,
        part,
    };
    let Some(originals) = &attempt.originals else {
        return vec![source(from, Part::Whole)];
    };
    let since = |at| source(ReadFrom::Revision(at), Part::Since(Arc::clone(originals)));
    let from = match from {
        ReadFrom::Revision(revision) => revision,
        ReadFrom::Seq(_) => Revision::START,
    };
    match originals.in_source(from) {
        Some(at) => vec![since(at)],
        None => vec![
            Segment {
                store: Arc::clone(&originals.store),
                stream: originals.stream.clone(),
                from: ReadFrom::Revision(from),
                cells: None,
                part: Part::Originals(Arc::clone(originals)),
            },
            since(originals.continuation_events),
        ],
    }
}

/// Returns the whole stream that a reverse migration closes, including the events that stem from
/// the originals.
pub(crate) fn whole_continuation(attempt: &Attempt, originals: &Arc<Originals>) -> Segment {
    Segment {
        store: Arc::clone(&attempt.source_store),
        stream: attempt.source.clone(),
        from: ReadFrom::Seq(0),
        cells: None,
        part: Part::Since(Arc::clone(originals)),
    }
}

impl Segment {
    /// Returns the first revision; earlier events of its cell are omitted.
    pub(crate) fn first(&self) -> Revision {
        match self.from {
            ReadFrom::Revision(revision) => revision,
            ReadFrom::Seq(_) => Revision::START,
        }
    }

    /// Returns the number of its event at this revision among the copied events.
    pub(crate) fn number(&self, revision: Revision) -> Revision {
        match &self.part {
            Part::Whole | Part::Originals(_) => revision,
            Part::Since(originals) => originals.restored(revision),
        }
    }

    /// Whether its cells belong to the stream to be closed.
    pub(crate) fn is_of_source(&self) -> bool {
        !matches!(self.part, Part::Originals(_))
    }

    /// Returns the mapper of its events.
    ///
    /// # Errors
    /// Those of the store.
    pub(crate) async fn mapper(&self, mapper: &Mapper) -> Result<Mapper> {
        match &self.part {
            Part::Whole => Ok(mapper.clone()),
            Part::Originals(_) => Ok(Mapper::new(Arc::new(Identity))),
            Part::Since(originals) => originals.down(mapper).await,
        }
    }

    /// Refuses a page with deleted originals.
    ///
    /// # Errors
    /// `Gone` for originals that were deleted.
    pub(crate) fn check(&self, page: &CheckedPage) -> Result<()> {
        match &self.part {
            Part::Originals(originals) => page
                .cells
                .iter()
                .try_for_each(|cell| originals.refuse_deleted(cell)),
            Part::Whole | Part::Since(_) => Ok(()),
        }
    }

    /// Checks the number of originals at the end of their stream.
    ///
    /// # Errors
    /// `Corrupt` when the Close counted another number.
    pub(crate) fn check_end(&self, end: Revision) -> Result<()> {
        match &self.part {
            Part::Originals(originals) if originals.events != end => Err(Error::corrupt(format!(
                "a stream has {end} events, but its Close counts {}: {}",
                originals.events, self.stream
            ))),
            _ => Ok(()),
        }
    }
}
