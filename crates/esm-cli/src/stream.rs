//! An object's events, page by page, going on where a Close says.

use std::collections::VecDeque;

use esm_core::event::{Event, Revision};
use esm_core::id::{ObjectId, StreamRef};
use esm_core::store::{Cell, CellKind, PageLimit, ReadFrom};
use esm_core::{Error, ErrorKind, Result};
use esm_format::cloudevent::{self, Attributes};
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};

use crate::objects;
use crate::session::Session;

/// An event and its revision.
pub(crate) type Numbered = (Revision, Event);

/// Reads an object's events in constant memory: a page at a time.
#[derive(Debug)]
pub(crate) struct Events<'a> {
    session: &'a Session,
    stream: StreamRef,
    from: Option<ReadFrom>,
    /// Events below this revision of the stream are left out.
    first: Revision,
    /// What the next event is numbered, whichever stream it stands in.
    number: Revision,
    limit: PageLimit,
    first_page: VecDeque<Numbered>,
}

impl<'a> Events<'a> {
    /// The events of a stream from a revision on.
    pub(crate) fn of(session: &'a Session, stream: StreamRef, from: Revision) -> Self {
        Self {
            session,
            stream,
            from: Some(ReadFrom::Revision(from)),
            first: from,
            number: from,
            limit: PageLimit {
                cells: 4,
                bytes: 2 << 20,
            },
            first_page: VecDeque::new(),
        }
    }

    /// Pages of at most about this many bytes.
    #[must_use]
    pub(crate) fn page_bytes(mut self, bytes: u64) -> Self {
        self.limit.bytes = bytes;
        self
    }

    /// Reads the first page now, so that it is there when it is asked for.
    ///
    /// # Errors
    /// As [`next_page`](Self::next_page).
    pub(crate) async fn prefetched(mut self) -> Result<Self> {
        if let Some(page) = self.next_page().await? {
            self.first_page = page.into();
        }
        Ok(self)
    }

    /// The next events, at least one; nothing at the end.
    ///
    /// A stream that is closed meanwhile goes on in its target: what is numbered on is then what
    /// follows there (R14).
    ///
    /// # Errors
    /// `Gone` for events that were deleted; `UnknownStore`; what the store fails with.
    pub(crate) async fn next_page(&mut self) -> Result<Option<Vec<Numbered>>> {
        if !self.first_page.is_empty() {
            return Ok(Some(std::mem::take(&mut self.first_page).into()));
        }
        while let Some(from) = self.from.take() {
            let store = self.session.stores().of(&self.stream)?;
            let page = store.read(&self.stream.stream, from, self.limit).await?;
            let next = page.cells.last().map(|cell| cell.header.seq + 1);
            self.from = match (page.at_end, next) {
                (false, Some(seq)) => Some(ReadFrom::Seq(seq)),
                _ => None,
            };
            let events = self.take(page.cells)?;
            if !events.is_empty() {
                return Ok(Some(events));
            }
        }
        Ok(None)
    }

    fn take(&mut self, cells: Vec<Cell>) -> Result<Vec<Numbered>> {
        let mut events = Vec::new();
        for cell in cells {
            match cell.header.kind {
                CellKind::Fence(_) => (),
                CellKind::Tombstone if cell.header.next_revision() <= self.first => (),
                CellKind::Tombstone => return Err(self.gone()),
                CellKind::Close(close) => {
                    if let Some(target) = close.target {
                        self.stream = target;
                        self.first = close.target_events;
                        self.from = Some(ReadFrom::Revision(close.target_events));
                    }
                }
                CellKind::Data { .. } => {
                    let first = cell.header.first_revision.0;
                    for (at, event) in (first..).zip(cell.events) {
                        if at < self.first.0 {
                            continue;
                        }
                        events.push((self.number, event.event));
                        self.number = self.number.plus(1);
                    }
                }
            }
        }
        Ok(events)
    }

    fn gone(&self) -> Error {
        Error::new(
            ErrorKind::Gone,
            format!("events were deleted: {}", self.stream.stream),
        )
    }
}

/// An object whose events are about to be read.
#[derive(Debug)]
pub(crate) struct OpenedObject<'a> {
    pub(crate) object: ObjectId,
    pub(crate) events: Events<'a>,
}

/// Objects whose first page is read ahead, and how large it may be.
const AHEAD: usize = 8;
const PAGE_BYTES: u64 = 1 << 20;

/// Opens the active streams of many objects in their order, a few ahead.
pub(crate) fn open_all<'a>(
    session: &'a Session,
    objects: BoxStream<'a, Result<ObjectId>>,
) -> BoxStream<'a, Result<OpenedObject<'a>>> {
    objects
        .map_ok(move |object| open(session, object))
        .try_buffered(AHEAD)
        .boxed()
}

async fn open(session: &Session, object: ObjectId) -> Result<OpenedObject<'_>> {
    let document = session.documents().load(&object).await?.document;
    let stream = objects::active(session, &document).await?.stream;
    let events = Events::of(session, stream, Revision::START)
        .page_bytes(PAGE_BYTES)
        .prefetched()
        .await?;
    Ok(OpenedObject { object, events })
}

/// An event as a line of CloudEvents JSON, without its end.
pub(crate) fn line<'a>(
    object: &ObjectId,
    (revision, event): &Numbered,
    buffer: &'a mut Vec<u8>,
) -> &'a [u8] {
    buffer.clear();
    cloudevent::encode(event, &Attributes::of(object, *revision), buffer);
    buffer
}
