//! Finding cells in native streams, and reading them.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use crate::cell::{self, Assembler};
use crate::mark::Mark;
use crate::native::{NativeStore, Recorded, Slice, SliceLimit};
use crate::place::{Place, entries_of, native_commit};
use crate::places::{Bookmark, Places, Run};
use esm_core::id::StreamId;
use esm_core::store::{Cell, CellHeader, Page, PageLimit, ReadFrom, Tail};
use esm_core::{Error, ErrorKind, Result};

/// How much is read at once where more may be wanted.
const SLICE: SliceLimit = SliceLimit {
    entries: 512,
    bytes: 512 << 10,
};

/// The cells of native streams.
#[derive(Debug)]
pub(super) struct Streams {
    pub(super) native: Arc<dyn NativeStore>,
    places: Places,
}

/// A cell and where it begins.
#[derive(Debug)]
struct Found {
    position: u64,
    header: CellHeader,
}

impl Streams {
    pub(super) fn new(native: Arc<dyn NativeStore>) -> Self {
        Self {
            native,
            places: Places::default(),
        }
    }

    /// Forgets a stream that was deleted.
    pub(super) fn forget(&self, stream: &StreamId) {
        self.places.forget(stream);
    }

    /// The tail behind a cell that was just written, or found, at this position.
    pub(super) fn tail_after(&self, stream: &StreamId, position: u64, header: CellHeader) -> Tail {
        let place = Place::after(position, &header);
        self.note(stream, place, &header);
        Tail {
            last: Some(header),
            token: Bytes::copy_from_slice(&place.position.to_be_bytes()),
        }
    }

    fn note(&self, stream: &StreamId, place: Place, before: &CellHeader) {
        let begins_revision = before.count > 0;
        self.places.note(
            stream,
            Bookmark {
                place,
                begins_revision,
            },
        );
    }

    /// The observed end of a stream.
    pub(super) async fn tail(&self, stream: &StreamId) -> Result<Tail> {
        self.unless_stale(stream, || self.tail_once(stream)).await
    }

    async fn tail_once(&self, stream: &StreamId) -> Result<Tail> {
        let Some(last) = self.native.last(stream).await? else {
            self.places.forget(stream);
            return Ok(Tail::default());
        };
        let end = last.position + 1;
        let Found { position, header } = self.cell_of(stream, last).await?;
        if position + entries_of(&header) != end {
            let message = format!("the last cell of {stream} is incomplete");
            return Err(Error::corrupt(message)
                .with_hint("the store must append the entries of a cell all or not at all"));
        }
        Ok(self.tail_after(stream, position, header))
    }

    /// The native position of a tail.
    pub(super) async fn position_of(&self, stream: &StreamId, tail: &Tail) -> Result<u64> {
        if let Ok(token) = <[u8; 8]>::try_from(&tail.token[..]) {
            return Ok(u64::from_be_bytes(token));
        }
        let Some(last) = &tail.last else { return Ok(0) };
        let one = PageLimit { cells: 1, bytes: 0 };
        let page = self.page(stream, ReadFrom::Seq(last.seq), one).await?;
        match page.cells.first() {
            Some(cell) if cell.header.commit == last.commit => {
                let next = self.locate(stream, ReadFrom::Seq(last.seq + 1)).await?;
                next.map(|place| place.position)
                    .ok_or_else(|| Error::corrupt(format!("{stream} has lost its end")))
            }
            _ => Err(refused(&self.tail(stream).await?, tail)),
        }
    }

    /// Cells from a place on.
    pub(super) async fn page(
        &self,
        stream: &StreamId,
        from: ReadFrom,
        limit: PageLimit,
    ) -> Result<Page> {
        self.unless_stale(stream, || self.page_once(stream, from, limit))
            .await
    }

    async fn page_once(&self, stream: &StreamId, from: ReadFrom, limit: PageLimit) -> Result<Page> {
        let Some(place) = self.locate(stream, from).await? else {
            return Ok(Page::default());
        };
        let mut assembler = Assembler::at(stream, place);
        let mut entries = VecDeque::from(self.places.take(stream, place.position));
        let (mut cells, mut bytes, mut at_end) = (Vec::<Cell>::new(), 0, false);
        let has_room =
            |cells: usize, bytes| cells == 0 || cells < limit.cells && bytes < limit.bytes;
        while assembler.missing() > 0 || has_room(cells.len(), bytes) {
            let Some(next) = entries.pop_front() else {
                if at_end {
                    break;
                }
                let wanted = wanted(limit, &assembler);
                let slice = self
                    .native
                    .read(stream, assembler.position(), wanted)
                    .await?;
                at_end = slice.at_end || slice.entries.is_empty();
                entries = slice.entries.into();
                continue;
            };
            bytes += next.entry.event.approximate_size();
            let Some(cell) = assembler.push(next)? else {
                continue;
            };
            self.note(stream, assembler.place, &cell.header);
            cells.push(cell);
        }
        if assembler.missing() > 0 {
            let message = format!("the last cell of {stream} is incomplete");
            return Err(Error::corrupt(message));
        }
        at_end &= entries.is_empty();
        self.places.keep(stream, entries.into());
        Ok(Page { cells, at_end })
    }

    /// Retries once without the cache when the stream looks corrupt: it may have been deleted and
    /// created again.
    async fn unless_stale<T, Fut>(&self, stream: &StreamId, attempt: impl Fn() -> Fut) -> Result<T>
    where
        Fut: Future<Output = Result<T>>,
    {
        match attempt().await {
            Err(error) if *error.kind() == ErrorKind::Corrupt && self.places.forget(stream) => {
                attempt().await
            }
            result => result,
        }
    }

    /// The place where reading begins; `None` beyond the end.
    async fn locate(&self, stream: &StreamId, from: ReadFrom) -> Result<Option<Place>> {
        if let ReadFrom::Seq(seq) = from
            && let Some(place) = self.places.of_seq(stream, seq)
        {
            return Ok(Some(place));
        }
        if let Some(place) = self.within_run(stream, from).await? {
            return Ok(Some(place));
        }
        let reached = |header: &CellHeader| match from {
            ReadFrom::Seq(seq) => header.seq >= seq,
            ReadFrom::Revision(at) => header.next_revision() > at,
        };
        let found = match self.first_cell(stream, from, reached).await? {
            Some(found) => Some(found),
            None => {
                // at the number of events, the first cell that begins there
                let reached = |header: &CellHeader| match from {
                    ReadFrom::Seq(seq) => header.seq >= seq,
                    ReadFrom::Revision(at) => header.first_revision >= at,
                };
                self.first_cell(stream, from, reached).await?
            }
        };
        Ok(found.map(|found| before(&found)))
    }

    /// The first cell that satisfies a predicate which all later cells satisfy too. A binary search
    /// that reads one cell a step.
    async fn first_cell(
        &self,
        stream: &StreamId,
        from: ReadFrom,
        reached: impl Fn(&CellHeader) -> bool + Sync,
    ) -> Result<Option<Found>> {
        let (mut low, high) = self.places.bounds(stream, from);
        // the cell after the last that was read is requested most often
        let Some(next) = self.find_entry(stream, low).await? else {
            return Ok(None);
        };
        let next = self.cell_of(stream, next).await?;
        if reached(&next.header) {
            return Ok(Some(next));
        }
        low = next.position + entries_of(&next.header);
        let mut high = match high {
            Some(high) => high,
            None => self
                .native
                .last(stream)
                .await?
                .map_or(0, |last| last.position + 1),
        };
        let mut first = None;
        while low < high {
            let middle = self.entry(stream, low + (high - low) / 2).await?;
            let found = self.cell_of(stream, middle).await?;
            if reached(&found.header) {
                high = found.position;
                first = Some(found);
            } else {
                low = found.position + entries_of(&found.header);
            }
        }
        Ok(first)
    }

    /// The place, if it is within the known run of entries without marks.
    async fn within_run(&self, stream: &StreamId, from: ReadFrom) -> Result<Option<Place>> {
        let Some(Run { start, end }) = self.places.run(stream) else {
            return Ok(None);
        };
        let along = match from {
            ReadFrom::Seq(seq) => seq.checked_sub(start.seq),
            ReadFrom::Revision(at) => at.0.checked_sub(start.revision.0),
        };
        match along.filter(|along| start.position + along < end) {
            Some(along) => self.along(stream, start, along).await.map(Some),
            None => Ok(None),
        }
    }

    async fn along(&self, stream: &StreamId, start: Place, entries: u64) -> Result<Place> {
        if entries == 0 {
            return Ok(start);
        }
        let last = self.entry(stream, start.position + entries - 1).await?;
        let commit = native_commit(stream, last.position, last.entry.event.id.as_str());
        Ok(start.along(entries, Some(commit)))
    }

    /// The cell that an entry belongs to.
    async fn cell_of(&self, stream: &StreamId, recorded: Recorded) -> Result<Found> {
        let position = recorded.position;
        let Some(mark) = &recorded.entry.mark else {
            let place = self.place_of_native(stream, position).await?;
            let commit = native_commit(stream, position, recorded.entry.event.id.as_str());
            let header = place.native_header(commit);
            return Ok(Found { position, header });
        };
        self.marked_cell(stream, mark, &recorded).await
    }

    /// The cell that an entry with a mark belongs to.
    async fn marked_cell(
        &self,
        stream: &StreamId,
        mark: &str,
        recorded: &Recorded,
    ) -> Result<Found> {
        let position = recorded.position;
        let within = |e: Error| e.context(format!("entry {position} of {stream}"));
        let torn = || within(Error::corrupt("the cell that it belongs to is torn"));
        let mark = Mark::decode(mark).map_err(within)?;
        if mark.index == 0 {
            return begun(recorded, mark).map_err(within)?.ok_or_else(torn);
        }
        let first = position.checked_sub(mark.index).ok_or_else(torn)?;
        let first = self.entry(stream, first).await?;
        let of_first = first.entry.mark.as_deref().map(Mark::decode).transpose();
        let of_first = of_first.map_err(within)?;
        match of_first.filter(|of_first| of_first.commit == mark.commit) {
            Some(of_first) => begun(&first, of_first).map_err(within)?.ok_or_else(torn),
            None => Err(torn()),
        }
    }

    /// The place before an entry that an application wrote without esm.
    async fn place_of_native(&self, stream: &StreamId, position: u64) -> Result<Place> {
        if let Some(place) = self.places.at(stream, position) {
            return Ok(place);
        }
        let start = self.run_up_to(stream, position).await?;
        let seen = self.places.run(stream).filter(|run| run.start == start);
        let end = seen.map_or(0, |run| run.end).max(position + 1);
        self.places.note_run(stream, Run { start, end });
        let place = self.along(stream, start, position - start.position).await?;
        let begins_revision = place != start;
        self.places.note(
            stream,
            Bookmark {
                place,
                begins_revision,
            },
        );
        Ok(place)
    }

    /// Where the run of entries without marks begins that ends at a position: from the cache, from
    /// the store if it finds marks, or by reading back.
    async fn run_up_to(&self, stream: &StreamId, position: u64) -> Result<Place> {
        let run = self.places.run(stream);
        let run = run.filter(|run| run.start.position <= position);
        if let Some(run) = run.filter(|run| position <= run.end) {
            return Ok(run.start);
        }
        if self.native.profile().finds_marks {
            return match self.native.last_marked(stream, position).await? {
                Some(marked) => self.after_cell_of(stream, marked).await,
                None => Ok(Place::default()),
            };
        }
        let known = self.places.before(stream, position);
        let (floor, start) = match run.filter(|run| run.end >= known.position) {
            Some(run) => (run.end, run.start),
            None => (known.position, known),
        };
        match self.last_marked_between(stream, floor, position).await? {
            Some(marked) => self.after_cell_of(stream, marked).await,
            None => Ok(start),
        }
    }

    async fn after_cell_of(&self, stream: &StreamId, marked: Recorded) -> Result<Place> {
        let Some(mark) = &marked.entry.mark else {
            return Err(Error::corrupt(format!(
                "the store returned entry {} of {stream} as marked, but it has no mark",
                marked.position
            )));
        };
        let found = self.marked_cell(stream, mark, &marked).await?;
        Ok(Place::after(found.position, &found.header))
    }

    /// The newest entry with a mark at or after `floor` and before `position`, by reading back.
    async fn last_marked_between(
        &self,
        stream: &StreamId,
        floor: u64,
        position: u64,
    ) -> Result<Option<Recorded>> {
        let mut high = position;
        while high > floor {
            let low = floor.max(high.saturating_sub(SLICE.entries as u64));
            let mut newest = None;
            let mut next = low;
            while next < high {
                let limit = SliceLimit {
                    entries: usize::try_from(high - next).unwrap_or(usize::MAX),
                    ..SLICE
                };
                let slice = self.native.read(stream, next, limit).await?;
                next += check(stream, next, &slice)?;
                let marked = slice.entries.into_iter().rfind(|e| e.entry.mark.is_some());
                newest = marked.or(newest);
            }
            if newest.is_some() {
                return Ok(newest);
            }
            high = low;
        }
        Ok(None)
    }

    /// The entry at a position, which must exist.
    pub(super) async fn entry(&self, stream: &StreamId, position: u64) -> Result<Recorded> {
        let found = self.find_entry(stream, position).await?;
        found.ok_or_else(|| {
            let message = format!("entry {position} of {stream} is gone");
            Error::new(ErrorKind::Gone, message)
        })
    }

    /// The entry at a position, if there is one.
    pub(super) async fn find_entry(
        &self,
        stream: &StreamId,
        position: u64,
    ) -> Result<Option<Recorded>> {
        let one = SliceLimit {
            entries: 1,
            bytes: 0,
        };
        let slice = self.native.read(stream, position, one).await?;
        if slice.entries.is_empty() {
            return Ok(None);
        }
        check(stream, position, &slice)?;
        Ok(slice.entries.into_iter().next())
    }
}

/// The cell that an entry with this mark begins, if it does.
fn begun(first: &Recorded, mark: Mark) -> Result<Option<Found>> {
    let Some(cell) = mark.cell else {
        return Ok(None);
    };
    let header = cell::header(mark.commit, cell, &first.entry.event)?;
    let position = first.position;
    Ok(Some(Found { position, header }))
}

/// The place before a cell that was found.
fn before(found: &Found) -> Place {
    Place {
        position: found.position,
        seq: found.header.seq,
        revision: found.header.first_revision,
        previous: found.header.previous,
        last_control: found.header.last_control,
    }
}

/// How much to read for the rest of a page: for one cell, no more than that cell.
fn wanted(limit: PageLimit, assembler: &Assembler<'_>) -> SliceLimit {
    match limit.cells {
        0 | 1 => SliceLimit {
            entries: usize::try_from(assembler.missing().max(1)).unwrap_or(usize::MAX),
            bytes: SLICE.bytes,
        },
        _ => SliceLimit {
            bytes: SLICE.bytes.min(limit.bytes),
            ..SLICE
        },
    }
}

/// The error of a write that the native store refused, with the tail that the write expected.
pub(super) fn refused(actual: &Tail, expected: &Tail) -> Error {
    match actual.check_expected(expected) {
        Err(error) => error,
        Ok(()) => Error::new(
            ErrorKind::Unavailable,
            "the store refused a write at the very end of an open stream",
        ),
    }
}

/// Number of entries of a slice, which must begin at a position and have no gaps.
fn check(stream: &StreamId, from: u64, slice: &Slice) -> Result<u64> {
    let in_order = (from..).zip(&slice.entries).all(|(n, e)| e.position == n);
    if in_order && !slice.entries.is_empty() {
        return Ok(slice.entries.len() as u64);
    }
    let message = format!("entries of {stream} from {from} on are missing");
    Err(Error::new(ErrorKind::Gone, message))
}
