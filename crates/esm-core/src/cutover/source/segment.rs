//! What an attempt copies, as stretches of streams: one stream to its end, or originals and what came
//! to their continuation since.

use std::sync::Arc;

use crate::cutover::attempt::Attempt;
use crate::cutover::source::originals::Originals;
use crate::cutover::source::scan::CheckedPage;
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
    part: Part,
}

/// Which part of what is copied a segment is.
#[derive(Debug)]
enum Part {
    /// All of it.
    Whole,
    /// The originals: they stay as they are, and their stream is closed.
    Originals(Arc<Originals>),
    /// What has come since: numbered on from the originals.
    Since(Arc<Originals>),
}

/// The segments of what an attempt copies, from this place on: a cell of the source where that is all,
/// or a revision of what is copied.
pub(crate) fn segments(attempt: &Attempt, from: ReadFrom) -> Vec<Segment> {
    let source = |from, part| Segment {
        store: Arc::clone(&attempt.source_store),
        stream: attempt.source.clone(),
        from,
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
                part: Part::Originals(Arc::clone(originals)),
            },
            since(originals.continuation_events),
        ],
    }
}

/// The whole stream that a reverse migration's attempt closes, with the events that stem from the
/// originals too.
pub(crate) fn whole_continuation(attempt: &Attempt, originals: &Arc<Originals>) -> Segment {
    Segment {
        store: Arc::clone(&attempt.source_store),
        stream: attempt.source.clone(),
        from: ReadFrom::Seq(0),
        part: Part::Since(Arc::clone(originals)),
    }
}

impl Segment {
    /// Events before this one are left out.
    pub(crate) fn first(&self) -> Revision {
        match self.from {
            ReadFrom::Revision(revision) => revision,
            ReadFrom::Seq(_) => Revision::START,
        }
    }

    /// The number that its event at this revision has in what is copied.
    pub(crate) fn number(&self, revision: Revision) -> Revision {
        match &self.part {
            Part::Whole | Part::Originals(_) => revision,
            Part::Since(originals) => originals.restored(revision),
        }
    }

    /// Whether its cells are those of the stream that is to be closed.
    pub(crate) fn is_of_source(&self) -> bool {
        !matches!(self.part, Part::Originals(_))
    }

    /// What its events go through.
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

    /// # Errors
    /// `Gone` for originals that were deleted on purpose.
    pub(crate) fn check(&self, page: &CheckedPage) -> Result<()> {
        match &self.part {
            Part::Originals(originals) => page
                .cells
                .iter()
                .try_for_each(|cell| originals.refuse_deleted(cell)),
            Part::Whole | Part::Since(_) => Ok(()),
        }
    }

    /// # Errors
    /// `Corrupt` when it has ended after another number of events than it must.
    pub(crate) fn check_end(&self, end: Revision) -> Result<()> {
        match &self.part {
            Part::Originals(originals) if originals.events != end => Err(Error::corrupt(format!(
                "a stream ends after {end} events and was closed with {}: {}",
                originals.events, self.stream
            ))),
            _ => Ok(()),
        }
    }
}
