//! Read-ahead over a stream in constant memory: cells are read, checked and transformed in order.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use crate::cutover::Cutover;
use crate::cutover::attempt::Attempt;
use crate::cutover::meter::{Meter, Stage};
use crate::cutover::source::cells::{CellScan, CheckedPage, Pass};
use crate::cutover::source::segment::{Segment, segments};
use crate::cutover::supervisor::Amount;
use crate::error::{Error, Result};
use crate::event::{Revision, Schema};
use crate::id::ObjectId;
use crate::store::{CellHeader, Lane, ReadFrom, Tail};
use crate::transform::{Failure, Mapped, Mapper};

/// Pages mapped ahead of their use.
const MAPPED_AHEAD: usize = 1;

/// Pages with more events than this are transformed on a blocking thread. Smaller pages are not:
/// the thread costs more than it saves, and simulated runs would no longer be deterministic.
const INLINE_EVENTS: usize = 64;

/// Transforms the events of a page; a large page on a blocking thread.
///
/// # Errors
/// `Corrupt` when the transformation panics on that thread.
pub(crate) async fn transform<T: Send + 'static>(
    events: usize,
    page: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    if events <= INLINE_EVENTS {
        return Ok(page());
    }
    let transformed = tokio::task::spawn_blocking(page).await;
    transformed.map_err(|panic| {
        Error::corrupt("transforming a page of events panicked").with_source(panic)
    })
}

/// A source event and the result of its transformation.
#[derive(Debug)]
pub(crate) struct MappedEvent {
    /// Its number among the copied events; the source revision, unless originals precede them.
    pub(crate) revision: Revision,
    pub(crate) schema: Schema,
    /// Size of the source event, uncompressed.
    pub(crate) bytes: u64,
    pub(crate) mapped: std::result::Result<Mapped, Failure>,
}

/// A page of source events and the results of their transformation.
#[derive(Debug)]
pub(crate) struct MappedPage {
    pub(crate) events: Vec<MappedEvent>,
    /// The headers of the cells of the stream to be closed, in order.
    pub(crate) headers: Vec<CellHeader>,
    pub(crate) at_end: bool,
}

impl MappedPage {
    /// Returns the number of events and their bytes.
    pub(crate) fn amount(&self) -> Amount {
        Amount {
            events: self.events.len() as u64,
            bytes: self.events.iter().map(|event| event.bytes).sum(),
        }
    }
}

/// Reads and transforms the events of a source in order, ahead of their use.
pub(crate) struct SourceScan {
    pages: mpsc::Receiver<Result<MappedPage>>,
    _mapping: AbortOnDropHandle<()>,
}

impl SourceScan {
    /// Starts at a cell of the source, or at a revision among the copied events; earlier events of
    /// the same cell are omitted.
    pub(crate) fn start(cutover: &Cutover<'_>, attempt: &Attempt, from: ReadFrom) -> Self {
        Self::over(cutover, attempt, segments(attempt, from))
    }

    /// As [`start`](Self::start), of a source that is read up to this tail and no further.
    pub(crate) fn up_to(
        cutover: &Cutover<'_>,
        attempt: &Attempt,
        from: ReadFrom,
        tail: &Tail,
    ) -> Self {
        let mut segments = segments(attempt, from);
        for segment in segments.iter_mut().filter(|part| part.is_of_source()) {
            segment.cells = Some(tail.next_seq());
        }
        Self::over(cutover, attempt, segments)
    }

    /// Reads these segments in order.
    pub(crate) fn over(cutover: &Cutover<'_>, attempt: &Attempt, segments: Vec<Segment>) -> Self {
        let (sender, pages) = mpsc::channel(MAPPED_AHEAD);
        let mapping = Mapping {
            segments: segments.into(),
            reading: None,
            shared: SharedMapping {
                mapper: cutover.mapper.clone(),
                meter: Arc::clone(cutover.meter),
                object: attempt.object.clone(),
            },
        };
        let task = tokio::spawn(Lane::staying(async move { mapping.send_to(sender).await }));
        Self {
            pages,
            _mapping: AbortOnDropHandle::new(task),
        }
    }

    /// Returns the next page; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<MappedPage>> {
        self.pages.recv().await.transpose()
    }
}

struct Mapping {
    segments: VecDeque<Segment>,
    reading: Option<Reading>,
    shared: SharedMapping,
}

/// What the segments share.
struct SharedMapping {
    mapper: Mapper,
    meter: Arc<Meter>,
    object: ObjectId,
}

/// The segment being read.
struct Reading {
    segment: Arc<Segment>,
    cells: CellScan,
    /// The mapper of its events; absent until the first event.
    mapper: Option<Mapper>,
    end: Revision,
}

impl Reading {
    fn start(segment: Segment, shared: &SharedMapping) -> Self {
        let (store, stream) = (&segment.store, &segment.stream);
        let pass = Pass {
            meter: Some(Arc::clone(&shared.meter)),
            cells: segment.cells,
            written: None,
        };
        Self {
            cells: CellScan::begin(store, stream, segment.from, pass),
            mapper: None,
            end: segment.first(),
            segment: Arc::new(segment),
        }
    }

    async fn next(&mut self, shared: &SharedMapping) -> Result<Option<MappedPage>> {
        let Some(page) = self.cells.next().await? else {
            self.segment.check_end(self.end)?;
            return Ok(None);
        };
        self.segment.check(&page)?;
        if let Some(last) = page.cells.last() {
            self.end = last.header.next_revision();
        }
        let events = page.event_count();
        let mapper = match &self.mapper {
            Some(mapper) => mapper.clone(),
            // nothing to map, so the segment's own mapper need not be built
            None if events == 0 => shared.mapper.clone(),
            None => {
                let mapper = self.segment.mapper(&shared.mapper).await?;
                self.mapper.insert(mapper).clone()
            }
        };
        let (segment, object) = (Arc::clone(&self.segment), shared.object.clone());
        let began = shared.meter.now();
        let mapping = move || map_page(&mapper, &object, &segment, page);
        let mapped = transform(events, mapping).await?;
        shared.meter.count(Stage::Transform, began);
        Ok(Some(mapped))
    }
}

impl Mapping {
    async fn send_to(mut self, sender: mpsc::Sender<Result<MappedPage>>) {
        loop {
            let Some(page) = self.page().await.transpose() else {
                return;
            };
            let continues = page.is_ok();
            if sender.send(page).await.is_err() || !continues {
                return;
            }
        }
    }

    async fn page(&mut self) -> Result<Option<MappedPage>> {
        loop {
            let reading = match &mut self.reading {
                Some(reading) => reading,
                None => match self.segments.pop_front() {
                    Some(segment) => {
                        let reading = Reading::start(segment, &self.shared);
                        self.reading.insert(reading)
                    }
                    None => return Ok(None),
                },
            };
            if let Some(mut page) = reading.next(&self.shared).await? {
                page.at_end &= self.segments.is_empty();
                return Ok(Some(page));
            }
            self.reading = None;
        }
    }
}

fn map_page(
    mapper: &Mapper,
    object: &ObjectId,
    segment: &Segment,
    page: CheckedPage,
) -> MappedPage {
    let mut events = Vec::with_capacity(page.event_count());
    let mut headers = Vec::with_capacity(page.cells.len());
    for cell in page.cells {
        let first = cell.header.first_revision;
        for (index, cell_event) in cell.events.into_iter().enumerate() {
            let revision = first.plus(index as u64);
            if revision < segment.first() {
                continue;
            }
            let event = cell_event.event;
            let (schema, bytes) = (event.schema(), event.approximate_size());
            let mapped = mapper.map_owned(object, revision, event);
            events.push(MappedEvent {
                revision: segment.number(revision),
                schema,
                bytes,
                mapped,
            });
        }
        if segment.is_of_source() {
            headers.push(cell.header);
        }
    }
    MappedPage {
        events,
        headers,
        at_end: page.at_end,
    }
}
