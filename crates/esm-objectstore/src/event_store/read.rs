//! Reading pages of cells, several at a time.

use esm_core::id::StreamId;
use esm_core::store::{Cell, CellKind, Page, PageLimit};
use esm_core::{Error, Result};
use futures::stream::{FuturesOrdered, StreamExt as _};

use super::cells::ObjectEventStore;

/// Most cells that are fetched at once.
const READ_AHEAD: usize = 8;

impl ObjectEventStore {
    /// Cells from this number on.
    ///
    /// Begins with two requests, which is all that a stream of one cell takes to be seen whole.
    /// Up to the end as far as it is known, more are sent at once as long as what came leaves room
    /// in the page; beyond it, the more the longer the stream turns out to be.
    pub(super) async fn read_page(
        &self,
        stream: &StreamId,
        from: u64,
        limit: PageLimit,
    ) -> Result<Page> {
        let most = limit.cells.max(1);
        let mut page = Page::default();
        let mut bytes = 0;
        let mut asked = 0;
        let mut requests = FuturesOrdered::new();
        let known = self
            .known
            .get(stream)
            .map_or(0, |last| last.saturating_sub(from) + 2);
        let known = usize::try_from(known).unwrap_or(usize::MAX);
        let mut ahead = 2;
        loop {
            let came = page.cells.len();
            let worth_asking = known.max(came + came / 2 + 1).max(2).min(most);
            while asked < worth_asking && requests.len() < ahead {
                requests.push_back(self.cell(stream, from + asked as u64));
                asked += 1;
            }
            let Some(cell) = requests.next().await.transpose()? else {
                break;
            };
            let seq = from + page.cells.len() as u64;
            let cell = match cell {
                Some(cell) => cell,
                None => {
                    let mut later = false;
                    while let Some(cell) = requests.next().await {
                        later |= cell?.is_some();
                    }
                    match self.absent(stream, seq, later).await? {
                        true => page.at_end = true,
                        // it was written while the ones behind it were read: go on there next time
                        false if page.cells.is_empty() => {
                            return Box::pin(self.read_page(stream, from, limit)).await;
                        }
                        false => {}
                    }
                    break;
                }
            };
            if let Some(before) = page.cells.last() {
                self.check_follows(stream, before, &cell)?;
            }
            let size = size(&cell);
            if !page.cells.is_empty() && bytes + size > limit.bytes {
                break;
            }
            bytes += size;
            let closed = matches!(cell.header.kind, CellKind::Close(_));
            page.cells.push(cell);
            if closed {
                page.at_end = true;
                break;
            }
            ahead = fitting(limit.bytes, bytes, page.cells.len()).min(ahead * 2);
        }
        if let Some(last) = page.cells.last() {
            self.known.note(stream, last.header.seq);
        }
        Ok(page)
    }

    /// Whether a cell that was found absent is the end of the stream. `later`: a cell behind it
    /// was seen.
    async fn absent(&self, stream: &StreamId, seq: u64, later: bool) -> Result<bool> {
        if later {
            return match self.header(stream, seq).await? {
                Some(_) => Ok(false),
                None => Err(self.gone(stream, seq)),
            };
        }
        match self.known.get(stream) {
            Some(known) if known == seq => match self.header(stream, seq).await? {
                Some(_) => Ok(false),
                None => {
                    self.known.forget(stream);
                    Ok(true)
                }
            },
            Some(known) if known > seq => match self.header(stream, known).await? {
                Some(_) => match self.header(stream, seq).await? {
                    Some(_) => Ok(false),
                    None => Err(self.gone(stream, seq)),
                },
                None => {
                    // another process discarded the stream
                    self.known.forget(stream);
                    Ok(true)
                }
            },
            _ => Ok(true),
        }
    }

    fn check_follows(&self, stream: &StreamId, before: &Cell, cell: &Cell) -> Result<()> {
        let (before, header) = (&before.header, &cell.header);
        let what = if header.previous != Some(before.commit) {
            "names another cell before it than the one that is there"
        } else if header.first_revision != before.next_revision() {
            "does not begin where the cell before it ends"
        } else if header.last_control != before.control_so_far() {
            "names another last control cell than there is"
        } else {
            return Ok(());
        };
        Err(self.at_cell(Error::corrupt(what), stream, header.seq))
    }
}

fn size(cell: &Cell) -> u64 {
    cell.events
        .iter()
        .map(|event| event.event.approximate_size())
        .sum()
}

/// How many more cells are worth asking for at once, going by the size of those that came.
fn fitting(limit: u64, bytes: u64, cells: usize) -> usize {
    let average = (bytes / cells as u64).max(1);
    let room = limit.saturating_sub(bytes) / average;
    usize::try_from(room)
        .unwrap_or(READ_AHEAD)
        .clamp(1, READ_AHEAD)
}
