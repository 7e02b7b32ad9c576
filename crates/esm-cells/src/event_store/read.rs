//! Reading pages of cells, several at a time.

use esm_core::id::StreamId;
use esm_core::store::{Cell, CellKind, Page, PageLimit};
use esm_core::{Error, Result};
use futures::stream::{FuturesOrdered, StreamExt as _, TryStreamExt as _};

use super::cells::ObjectEventStore;

/// Most cells that are fetched at once. A lane asks for pages of fewer cells.
const READ_AHEAD: usize = 8;

impl ObjectEventStore {
    /// Cells from this number on.
    pub(super) async fn read_page(
        &self,
        stream: &StreamId,
        from: u64,
        limit: PageLimit,
    ) -> Result<Page> {
        let mut page = Page::default();
        let mut bytes = 0;
        let mut asked = 0;
        let mut requests = FuturesOrdered::new();
        let mut ahead = self.read_ahead(stream, from, limit);
        loop {
            while asked < ahead.worth_asking(page.cells.len(), bytes)
                && requests.len() < ahead.width
            {
                requests.push_back(self.cell(stream, from + asked as u64));
                asked += 1;
            }
            let Some(cell) = requests.next().await.transpose()? else {
                break;
            };
            let Some(cell) = cell else {
                let seq = from + page.cells.len() as u64;
                let behind: Vec<Option<Cell>> = requests.try_collect().await?;
                let later = behind.iter().any(Option::is_some);
                page.at_end = self.is_end(stream, seq, later).await?;
                if !page.at_end && page.cells.is_empty() {
                    // it was written while the ones behind it were read
                    return Box::pin(self.read_page(stream, from, limit)).await;
                }
                break;
            };
            if let Some(before) = page.cells.last() {
                self.check_follows(stream, before, &cell)?;
            }
            let size = size(&cell);
            if !page.cells.is_empty() && bytes + size > limit.bytes {
                break;
            }
            bytes += size;
            page.at_end = matches!(cell.header.kind, CellKind::Close(_));
            page.cells.push(cell);
            if page.at_end {
                break;
            }
            ahead.adapt(bytes, page.cells.len());
        }
        if let Some(last) = page.cells.last() {
            self.known.note(stream, last.header.seq);
            if let Some(average) = ahead.average {
                self.cell_bytes.note(stream, average);
            }
            if !page.at_end {
                self.next_page.note(stream, last.header.seq + 1);
            }
        }
        Ok(page)
    }

    fn read_ahead(&self, stream: &StreamId, from: u64, limit: PageLimit) -> ReadAhead {
        let known = self
            .known
            .get(stream)
            .map_or(0, |last| last.saturating_sub(from) + 2);
        let goes_on = self.next_page.get(stream) == Some(from);
        let average = self.cell_bytes.get(stream);
        let width = average.map_or(2, |average| {
            let room = room(limit.bytes, average);
            // the absent one takes no room
            let all = usize::try_from(known).is_ok_and(|known| room.saturating_add(1) >= known);
            room.saturating_add(usize::from(all)).clamp(1, READ_AHEAD)
        });
        ReadAhead {
            most: limit.cells.max(1),
            most_bytes: limit.bytes,
            known: usize::try_from(known).unwrap_or(usize::MAX),
            seen: if goes_on { READ_AHEAD } else { 0 },
            average,
            width,
        }
    }

    /// Whether a cell that was found absent is the end of the stream. `later`: a cell behind it
    /// was seen.
    async fn is_end(&self, stream: &StreamId, seq: u64, later: bool) -> Result<bool> {
        if later || self.goes_on_by_hint(stream, seq).await? {
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

/// How many cells of this size fit.
fn room(bytes: u64, average: u64) -> usize {
    usize::try_from(bytes / average).unwrap_or(usize::MAX)
}

/// How far to read ahead.
///
/// Begins with two requests, which is all that a stream of one cell takes to be seen whole, or with as
/// many as fit by the size of the cells of earlier pages. Up to the end as far as it is known, more are
/// sent as long as what came leaves room in the page; beyond it, the more the longer the stream turns
/// out to be.
struct ReadAhead {
    /// Most cells in the page.
    most: usize,
    /// About how many bytes the page may have.
    most_bytes: u64,
    /// How many cells to expect, the absent one behind the end included; 0 if that is not known.
    known: usize,
    /// Cells of earlier pages, up to a number that makes no difference.
    seen: usize,
    /// Bytes of a cell on average, once there was one.
    average: Option<u64>,
    /// How many to have on their way at once.
    width: usize,
}

impl ReadAhead {
    /// How many cells are worth asking for in all when so many came, of so many bytes. What is known
    /// to be absent takes no room.
    fn worth_asking(&self, came: usize, bytes: u64) -> usize {
        let guessed = came + (self.seen + came) / 2 + 1;
        let wanted = self.known.max(guessed).max(2).min(self.most);
        let Some(average) = self.average else {
            return wanted;
        };
        let left = room(self.most_bytes.saturating_sub(bytes), average);
        let fit = came.saturating_add(left).max(1);
        if fit.saturating_add(1) == self.known {
            return wanted;
        }
        wanted.min(fit)
    }

    /// Goes by the size of the cells that came.
    fn adapt(&mut self, bytes: u64, cells: usize) {
        let average = (bytes / cells as u64).max(1);
        self.average = Some(average);
        let room = room(self.most_bytes.saturating_sub(bytes), average);
        self.width = room.clamp(1, READ_AHEAD.min(self.width * 2));
    }
}
