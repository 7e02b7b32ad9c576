//! The cells of a stream, read ahead in constant memory and checked to be contiguous.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio_util::task::AbortOnDropHandle;

use crate::cutover::meter::{Meter, Stage};
use crate::error::{Error, Result};
use crate::event::Revision;
use crate::id::{CommitId, StreamRef};
use crate::store::{Cell, CellHeader, EventStore, Lane, PageLimit, ReadFrom};

/// Limit of one read: as many cells as a lane has requests in flight. Memory is bounded by this limit
/// times (1 being read + [`READ_AHEAD`] + 1 being mapped + 1 mapped ahead + 1 in use).
const PAGE: PageLimit = PageLimit {
    cells: Lane::REQUESTS,
    bytes: 1 << 20,
};

/// Most cells of the first page: of which a comparison reads one of each stream at the same time.
const FIRST: usize = 2;

/// Pages read ahead of the mapping.
const READ_AHEAD: usize = 1;

/// A page of cells with checked headers.
#[derive(Debug)]
pub(crate) struct CheckedPage {
    pub(crate) cells: Vec<Cell>,
    pub(crate) at_end: bool,
}

/// How far a stream that is being written was acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Written {
    pub(crate) cells: u64,
    /// The source events that it is complete for.
    pub(crate) source_events: Revision,
}

/// How the cells of a stream are read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pass {
    pub(crate) meter: Option<Arc<Meter>>,
    /// The cells of the stream, where they are known: what is behind them is not asked for.
    pub(crate) cells: Option<u64>,
    /// Reads only what was written so far, and waits for more until the writer ends.
    pub(crate) written: Option<watch::Receiver<Written>>,
}

/// Reads the cells of a stream in order and checks that each follows its predecessor.
pub(crate) struct CellScan {
    pages: mpsc::Receiver<Result<CheckedPage>>,
    /// What is left of a page that is taken cell by cell.
    page: std::vec::IntoIter<Cell>,
    _reader: AbortOnDropHandle<()>,
}

impl CellScan {
    pub(crate) fn start(store: &Arc<dyn EventStore>, stream: &StreamRef, from: ReadFrom) -> Self {
        Self::begin(store, stream, from, Pass::default())
    }

    pub(crate) fn begin(
        store: &Arc<dyn EventStore>,
        stream: &StreamRef,
        from: ReadFrom,
        pass: Pass,
    ) -> Self {
        let (sender, pages) = mpsc::channel(READ_AHEAD);
        let reader = Reader {
            store: Arc::clone(store),
            stream: stream.clone(),
            from,
            follows: Follows::default(),
            pass,
            most: FIRST,
        };
        let task = tokio::spawn(Lane::staying(async move { reader.send_to(sender).await }));
        Self {
            pages,
            page: Vec::new().into_iter(),
            _reader: AbortOnDropHandle::new(task),
        }
    }

    /// Returns the next cell, instead of the next page; `None` at the end of the stream.
    pub(crate) async fn next_cell(&mut self) -> Result<Option<Cell>> {
        loop {
            if let Some(cell) = self.page.next() {
                return Ok(Some(cell));
            }
            let Some(page) = self.next().await? else {
                return Ok(None);
            };
            self.page = page.cells.into_iter();
        }
    }

    /// Returns the next page; `None` at the end of the stream.
    pub(crate) async fn next(&mut self) -> Result<Option<CheckedPage>> {
        self.pages.recv().await.transpose()
    }
}

struct Reader {
    store: Arc<dyn EventStore>,
    stream: StreamRef,
    from: ReadFrom,
    follows: Follows,
    pass: Pass,
    /// Most cells that are asked for at once, by the size of those that came.
    most: usize,
}

impl Reader {
    async fn send_to(mut self, sender: mpsc::Sender<Result<CheckedPage>>) {
        loop {
            let page = self.page().await;
            // it grows until its writer ends, which `page` notices
            let grows = self.pass.written.is_some();
            let continues = matches!(&page, Ok(Some(page)) if grows || !page.at_end);
            let Some(page) = page.transpose() else { return };
            if sender.send(page).await.is_err() || !continues {
                return;
            }
        }
    }

    async fn page(&mut self) -> Result<Option<CheckedPage>> {
        let Some(written) = self.wait_until_written().await else {
            return Ok(None);
        };
        let limit = PageLimit {
            cells: self.most.min(written),
            ..PAGE
        };
        let meter = self.pass.meter.as_ref();
        let began = meter.map(|meter| meter.now());
        let page = self
            .store
            .read(&self.stream.stream, self.from, limit)
            .await?;
        if let (Some(meter), Some(began)) = (meter, began) {
            meter.count(Stage::Read, began);
        }
        self.most = cells_that_fit(&page.cells).unwrap_or(self.most);
        for cell in &page.cells {
            self.follows
                .check(&cell.header)
                .map_err(|e| e.context(format!("stream {}", self.stream)))?;
        }
        let Some(last) = page.cells.last() else {
            return Ok(None);
        };
        self.from = ReadFrom::Seq(last.header.seq + 1);
        Ok(Some(CheckedPage {
            cells: page.cells,
            at_end: page.at_end,
        }))
    }

    /// Waits until there is something to read, and returns how many cells that is at most; nothing once
    /// the known cells were read, or a stream that is being written up to where its writer has ended.
    async fn wait_until_written(&mut self) -> Option<usize> {
        let from = self.from;
        let left = |cells: u64| {
            let left = match from {
                ReadFrom::Seq(seq) => cells.saturating_sub(seq),
                ReadFrom::Revision(_) => cells,
            };
            let left = usize::try_from(left).unwrap_or(usize::MAX);
            (left > 0).then_some(left)
        };
        let Some(written) = &mut self.pass.written else {
            return self.pass.cells.map_or(Some(usize::MAX), left);
        };
        loop {
            let cells = written.borrow_and_update().cells;
            if let Some(left) = left(cells) {
                return Some(left);
            }
            if written.changed().await.is_err() {
                return None;
            }
        }
    }
}

/// How many cells of this size a page holds.
fn cells_that_fit(cells: &[Cell]) -> Option<usize> {
    let events = cells.iter().flat_map(|cell| &cell.events);
    let bytes: u64 = events.map(|event| event.event.approximate_size()).sum();
    let average = bytes.checked_div(cells.len() as u64)?;
    let fit = usize::try_from(PAGE.bytes / average.max(1)).unwrap_or(PAGE.cells);
    Some(fit.clamp(1, PAGE.cells))
}

/// Checks that cells are contiguous: numbers, revisions, commits and the chain of control cells.
#[derive(Debug, Default)]
struct Follows {
    last: Option<(u64, Revision, CommitId, Option<u64>)>,
}

impl Follows {
    fn check(&mut self, header: &CellHeader) -> Result<()> {
        let first = header.seq == 0;
        let fits = match &self.last {
            Some((seq, revision, commit, control)) => {
                header.seq == seq + 1
                    && header.first_revision == *revision
                    && header.previous == Some(*commit)
                    && header.last_control == *control
            }
            None => {
                !first || header.first_revision == Revision::START && header.last_control.is_none()
            }
        };
        if !fits {
            return Err(Error::corrupt(format!(
                "cell {} does not follow the one before it: the cell's numbers, its predecessor's \
                 commit id or its last control cell differ",
                header.seq
            )));
        }
        self.last = Some((
            header.seq,
            header.next_revision(),
            header.commit,
            header.control_so_far(),
        ));
        Ok(())
    }
}

impl CheckedPage {
    pub(crate) fn event_count(&self) -> usize {
        self.cells.iter().map(|c| c.events.len()).sum()
    }
}
