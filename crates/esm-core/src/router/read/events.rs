//! Reading events along a chain of streams.

use std::collections::HashSet;
use std::sync::Arc;

use futures::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};

use crate::error::{Error, ErrorKind, Result};
use crate::event::{Event, Position, Revision};
use crate::id::{ObjectId, StreamRef};
use crate::object::chain::ensure_continues;
use crate::object::{KnownStream, ObjectDocument, StreamEnd};
use crate::router::read::reader::ObjectReader;
use crate::store::{Cell, CellKind, Close, EventStore, Page, ReadFrom};

/// Where to begin reading.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ReadPosition {
    /// At the first event of the stream at the end of the chain.
    #[default]
    Start,
    /// At this position: the first event read is the one directly after it.
    At(Position),
}

/// An event and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedEvent {
    /// The place before it; its own revision.
    pub position: Position,
    /// The event.
    pub event: Event,
}

impl RecordedEvent {
    /// The place after it: where to read on, and what an append expects that knows this event as
    /// the last.
    pub fn next(&self) -> Position {
        Position {
            stream: self.position.stream.clone(),
            revision: self.position.revision.plus(1),
        }
    }
}

/// What to do next.
#[derive(Debug, Clone)]
enum Step {
    /// Find out where to begin.
    Begin(ObjectId, ReadPosition),
    /// Read a page of an open or closed stream.
    Page(ReadPlace),
    /// Go over a Close that was read.
    Cross(ReadPlace, Box<Close>),
    /// Nothing more for now.
    End(ReadPlace),
}

/// The place that reading has reached in a stream.
#[derive(Debug, Clone)]
pub(in crate::router) struct ReadPlace {
    document: Arc<ObjectDocument>,
    /// The stream, and the least that it must have.
    known: KnownStream,
    from: ReadFrom,
    /// Events before this one are not wanted.
    first: Revision,
    /// The next event that was not read yet.
    pub(in crate::router) next: Revision,
    /// Nothing was read yet, and everything from the beginning is wanted: a Close leads to the
    /// beginning of its target instead.
    from_start: bool,
    /// The stream was found to have what is known of it, although no cell of it was read.
    complete: bool,
}

impl ReadPlace {
    fn start(document: Arc<ObjectDocument>, known: KnownStream) -> Self {
        Self {
            document,
            known,
            from: ReadFrom::Seq(0),
            first: Revision::START,
            next: Revision::START,
            from_start: true,
            complete: false,
        }
    }

    fn at(document: Arc<ObjectDocument>, known: KnownStream, revision: Revision) -> Self {
        Self {
            document,
            known,
            from: ReadFrom::Revision(revision),
            first: revision,
            next: revision,
            from_start: false,
            complete: false,
        }
    }

    pub(in crate::router) fn stream(&self) -> &StreamRef {
        self.known.stream()
    }

    /// Checks, where nothing more was found, that the stream has what is known of it.
    async fn check_end(&mut self, store: &dyn EventStore) -> Result<()> {
        let end = match self.from {
            ReadFrom::Seq(cells) => StreamEnd {
                cells,
                events: self.next,
                closed: false,
            },
            ReadFrom::Revision(_) if self.complete || self.known.is_nothing() => return Ok(()),
            // no cell was read that would say where the stream ends
            ReadFrom::Revision(_) => (&store.tail(&self.stream().stream).await?).into(),
        };
        self.known.check(store, end)?;
        self.complete = true;
        Ok(())
    }
}

/// Reads along a chain, a page at a time.
///
/// An error leaves its place unchanged, so the call may be repeated.
#[derive(Debug)]
pub(in crate::router) struct Reading {
    reader: ObjectReader,
    met: HashSet<StreamRef>,
    step: Step,
}

impl ObjectReader {
    /// Reads an object's events in order, from a position to the end.
    ///
    /// # Guarantees
    /// 1. Every event that was acknowledged before the stream is first polled, at or after the
    ///    position, is in it, exactly once, in order.
    /// 2. Reading over a migration continues in the target where the closed stream ended
    ///    ([R14](crate::protocol#r14)): a position in an older stream gives the rest of its history
    ///    as it was, then what came since. [`ReadPosition::Start`] reads the stream at the end of
    ///    the chain from its beginning, all of it transformed.
    /// 3. Memory holds one page, however many events there are.
    ///
    /// A position beyond the end reads nothing. Events that are appended while reading may be read
    /// or not.
    ///
    /// # Errors
    /// As [`load`](Self::load), at the first poll, where a Close is met, or at the end; `Gone` also
    /// for an event that was deleted; `Closed` when a restored backup took the stream's place: load it anew.
    pub fn read(
        &self,
        object: &ObjectId,
        from: ReadPosition,
    ) -> BoxStream<'static, Result<RecordedEvent>> {
        let reading = Reading::new(self.clone(), object.clone(), from);
        stream::try_unfold(reading, |mut reading| async move {
            let events = reading.next().await?;
            Ok::<_, Error>(events.map(|events| (events, reading)))
        })
        .map_ok(|events| stream::iter(events).map(Ok))
        .try_flatten()
        .boxed()
    }
}

impl Reading {
    pub(in crate::router) fn new(
        reader: ObjectReader,
        object: ObjectId,
        from: ReadPosition,
    ) -> Self {
        Self {
            reader,
            met: HashSet::new(),
            step: Step::Begin(object, from),
        }
    }

    /// From the beginning of a stream of an object, of which this is known.
    pub(in crate::router) fn from_start(
        reader: ObjectReader,
        document: ObjectDocument,
        known: KnownStream,
    ) -> Self {
        Self {
            reader,
            met: HashSet::from([known.stream().clone()]),
            step: Step::Page(ReadPlace::start(Arc::new(document), known)),
        }
    }

    /// Its place, if it has reached the end.
    pub(in crate::router) fn end(&self) -> Option<&ReadPlace> {
        match &self.step {
            Step::End(place) => Some(place),
            _ => None,
        }
    }

    /// At the end: the next call looks for more.
    pub(in crate::router) fn go_on(&mut self) {
        if let Step::End(place) = &self.step {
            self.step = Step::Page(place.clone());
        }
    }

    /// The events of one page, none at a turn, nothing at the end.
    pub(in crate::router) async fn next(&mut self) -> Result<Option<Vec<RecordedEvent>>> {
        match self.step.clone() {
            Step::End(_) => Ok(None),
            Step::Begin(object, from) => {
                self.begin(&object, from).await?;
                Ok(Some(Vec::new()))
            }
            Step::Cross(closed, close) => {
                let target = self.cross(&closed, &close).await?;
                if !close.continues {
                    return Err(replaced(closed.stream(), *close));
                }
                self.enter(ReadPlace::at(closed.document, target, close.target_events))?;
                Ok(Some(Vec::new()))
            }
            Step::Page(place) => self.page(place).await.map(Some),
        }
    }

    async fn begin(&mut self, object: &ObjectId, from: ReadPosition) -> Result<()> {
        let document = self.reader.documents().load(object).await?.document;
        let (document, stream) = match &from {
            ReadPosition::Start => {
                let active = document.active.clone();
                (document, active)
            }
            ReadPosition::At(at) => match self.reader.locate(document, &at.stream).await {
                // the document may not know the newest streams yet, which no earlier version lists
                Err(e) if is_not_listed(&e) => {
                    let document = self.reader.load(object).await?.document;
                    self.reader.locate(document, &at.stream).await?
                }
                found => found?,
            },
        };
        let known = KnownStream::of(&document, &stream);
        let document = Arc::new(document);
        let place = match from {
            ReadPosition::Start => ReadPlace::start(document, known),
            ReadPosition::At(at) => ReadPlace::at(document, known, at.revision),
        };
        self.enter(place)
    }

    fn enter(&mut self, place: ReadPlace) -> Result<()> {
        if !self.met.insert(place.stream().clone()) {
            return Err(Error::corrupt(format!(
                "a chain of closed streams is a circle at {}",
                place.stream()
            )));
        }
        self.step = Step::Page(place);
        Ok(())
    }

    /// The stream that a Close leads to.
    async fn cross(&self, closed: &ReadPlace, close: &Close) -> Result<KnownStream> {
        let Some(target) = &close.target else {
            let message = format!("the object was deleted: its stream was {}", closed.stream());
            return Err(Error::new(ErrorKind::Deleted, message));
        };
        let known = KnownStream::of(&closed.document, target).continuing(close);
        ensure_continues(self.reader.stores(), closed.stream(), close, &known).await?;
        Ok(known)
    }

    async fn page(&mut self, place: ReadPlace) -> Result<Vec<RecordedEvent>> {
        let stream = place.stream().clone();
        let store = self.reader.stores().of(&stream)?;
        let limit = self.reader.page();
        let page = (store.read(&stream.stream, place.from, limit)).await?;
        let mut close = close_in(&page);
        if place.from_start && close.is_none() && !page.at_end {
            // a long stream says only at its end whether it is closed
            let tail = store.tail(&stream.stream).await?;
            place.known.check(&**store, (&tail).into())?;
            close = tail.close().cloned();
        }
        if place.from_start
            && let Some(close) = &close
        {
            let target = self.cross(&place, close).await?;
            self.enter(ReadPlace::start(place.document, target))?;
            return Ok(Vec::new());
        }
        let events = wanted(&place, &page.cells)?;
        let mut place = place;
        if let Some(last) = page.cells.last() {
            place.from = ReadFrom::Seq(last.header.seq + 1);
            place.from_start = false;
            place.next = place.next.max(last.header.next_revision());
        }
        self.step = match close {
            Some(close) => Step::Cross(place, Box::new(close)),
            None if page.at_end || page.cells.is_empty() => {
                place.check_end(&**store).await?;
                Step::End(place)
            }
            None => Step::Page(place),
        };
        Ok(events)
    }
}

/// Whether the streams that a document has, or leaves to a damaged version, do not include one.
fn is_not_listed(error: &Error) -> bool {
    let kind = error.kind();
    matches!(
        kind,
        ErrorKind::NotFound | ErrorKind::Corrupt | ErrorKind::Gone
    )
}

fn close_in(page: &Page) -> Option<Close> {
    match page.cells.last().map(|cell| &cell.header.kind) {
        Some(CellKind::Close(close)) => Some(close.clone()),
        _ => None,
    }
}

fn wanted(place: &ReadPlace, cells: &[Cell]) -> Result<Vec<RecordedEvent>> {
    let mut events = Vec::new();
    for cell in cells {
        let header = &cell.header;
        if header.kind == CellKind::Tombstone && header.next_revision() > place.first {
            return Err(gone(place, cell));
        }
        for (revision, copied) in (header.first_revision.0..).zip(&cell.events) {
            if revision < place.first.0 {
                continue;
            }
            events.push(RecordedEvent {
                position: Position {
                    stream: place.stream().stream.clone(),
                    revision: Revision(revision),
                },
                event: copied.event.clone(),
            });
        }
    }
    Ok(events)
}

fn gone(place: &ReadPlace, cell: &Cell) -> Error {
    let message = format!(
        "events were deleted on purpose: {} from revision {} on, of {}",
        cell.header.count,
        cell.header.first_revision,
        place.stream()
    );
    Error::new(ErrorKind::Gone, message).with_hint("read from the start, or restore an archive")
}

fn replaced(closed: &StreamRef, close: Close) -> Error {
    let message = format!("a restored backup took the place of {closed}");
    Error::new(ErrorKind::Closed(Box::new(close)), message)
        .with_hint("positions mean nothing in what was restored: read the object from its start")
}
