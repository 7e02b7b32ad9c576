//! The cells of a stream, read ahead in constant memory and checked to be contiguous.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use crate::cutover::meter::{Meter, Stage};
use crate::error::{Error, Result};
use crate::event::Revision;
use crate::id::{CommitId, StreamRef};
use crate::store::{Cell, CellHeader, EventStore, PageLimit, ReadFrom};

/// Limit of one read. Memory is bounded by this limit times
/// (1 being read + [`READ_AHEAD`] + 1 being mapped + 1 mapped ahead + 1 in use).
const PAGE: PageLimit = PageLimit {
    cells: 8,
    bytes: 1 << 20,
};

/// Pages read ahead of the mapping.
const READ_AHEAD: usize = 1;

/// A page of cells with checked headers.
#[derive(Debug)]
pub(crate) struct CheckedPage {
    pub(crate) cells: Vec<Cell>,
    pub(crate) at_end: bool,
}

/// Reads the cells of a stream in order and checks that each follows its predecessor.
pub(crate) struct CellScan {
    pages: mpsc::Receiver<Result<CheckedPage>>,
    _reader: AbortOnDropHandle<()>,
}

impl CellScan {
    pub(crate) fn start(store: &Arc<dyn EventStore>, stream: &StreamRef, from: ReadFrom) -> Self {
        Self::metered(store, stream, from, None)
    }

    pub(super) fn metered(
        store: &Arc<dyn EventStore>,
        stream: &StreamRef,
        from: ReadFrom,
        meter: Option<&Arc<Meter>>,
    ) -> Self {
        let (sender, pages) = mpsc::channel(READ_AHEAD);
        let reader = Reader {
            store: Arc::clone(store),
            stream: stream.clone(),
            from,
            follows: Follows::default(),
            meter: meter.cloned(),
        };
        let task = tokio::spawn(async move { reader.send_to(sender).await });
        Self {
            pages,
            _reader: AbortOnDropHandle::new(task),
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
    meter: Option<Arc<Meter>>,
}

impl Reader {
    async fn send_to(mut self, sender: mpsc::Sender<Result<CheckedPage>>) {
        loop {
            let page = self.page().await;
            let continues = matches!(&page, Ok(Some(page)) if !page.at_end);
            let Some(page) = page.transpose() else { return };
            if sender.send(page).await.is_err() || !continues {
                return;
            }
        }
    }

    async fn page(&mut self) -> Result<Option<CheckedPage>> {
        let began = self.meter.as_ref().map(|meter| meter.now());
        let page = self
            .store
            .read(&self.stream.stream, self.from, PAGE)
            .await?;
        if let (Some(meter), Some(began)) = (&self.meter, began) {
            meter.count(Stage::Read, began);
        }
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
