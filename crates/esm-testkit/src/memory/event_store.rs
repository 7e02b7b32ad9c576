//! The in-memory event store.

use std::collections::BTreeMap;

use async_trait::async_trait;
use esm_core::event::Revision;
use esm_core::id::{CommitId, StoreId, StreamId};
use esm_core::store::{
    Append, Capabilities, Cell, CellEvent, CellHeader, CellKind, Close, EventStore, Fence, Page,
    PageLimit, ReadFrom, StoreLimits, Tail,
};
use esm_core::{Error, ErrorKind, Result};

use super::Shared;

/// An event store in memory: a list of cells for every stream.
///
/// Guarantees 1, 2, 4 and 5 of [`EventStore`] hold because every write checks the tail and pushes
/// one cell under one lock; 3, 6 and 7 because every handle reads the same list.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()
/// # .unwrap().block_on(async {
/// use esm_core::id::{StoreId, StreamId};
/// use esm_core::store::{Append, EventStore as _};
/// use esm_testkit::event;
/// use esm_testkit::memory::MemoryEventStore;
///
/// let environment = esm_testkit::environment(1);
/// let store = MemoryEventStore::new(StoreId::from_uuid(environment.uuid_v4()));
/// let orders = StreamId::new("orders")?;
/// let empty = store.tail(&orders).await?;
/// let append = Append::events(environment.commit_id(), vec![event("e1", "Placed").into()]);
/// store.append(&orders, &empty, append).await?;
/// assert_eq!(store.snapshot(&orders).len(), 1);
/// # Ok::<(), esm_core::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone)]
pub struct MemoryEventStore {
    id: StoreId,
    aliases: Vec<StoreId>,
    place: Option<String>,
    limits: StoreLimits,
    capabilities: Capabilities,
    streams: Shared<BTreeMap<StreamId, Vec<Stored>>>,
}

/// A cell, and the stream that it was written to: after a damage it may be found in another.
#[derive(Debug, Clone)]
struct Stored {
    stream: StreamId,
    cell: Cell,
}

impl MemoryEventStore {
    /// Returns an empty store with this identity, the default limits and every capability.
    pub fn new(id: StoreId) -> Self {
        Self {
            id,
            aliases: Vec::new(),
            place: None,
            limits: StoreLimits::default(),
            capabilities: Capabilities::default().with_discard(true),
            streams: Shared::default(),
        }
    }

    /// Returns the same store with these earlier ids.
    #[must_use]
    pub fn with_aliases(mut self, aliases: impl IntoIterator<Item = StoreId>) -> Self {
        self.aliases = aliases.into_iter().collect();
        self
    }

    /// Returns the same store after it got this id. The present one becomes an alias.
    #[must_use]
    pub fn with_new_id(mut self, id: StoreId) -> Self {
        self.aliases.push(std::mem::replace(&mut self.id, id));
        self
    }

    /// Returns the same store with this [place](EventStore::place); it has none otherwise.
    #[must_use]
    pub fn at_place(mut self, place: impl Into<String>) -> Self {
        self.place = Some(place.into());
        self
    }

    /// Returns the same store with these limits.
    #[must_use]
    pub fn with_limits(mut self, limits: StoreLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Returns the same store with these capabilities.
    #[must_use]
    pub fn with_capabilities(mut self, capabilities: Capabilities) -> Self {
        self.capabilities = capabilities;
        self
    }

    /// Returns all cells of a stream as they are; for assertions, counted by no decorator.
    pub fn snapshot(&self, stream: &StreamId) -> Vec<Cell> {
        let streams = self.streams.lock();
        let stored = streams.get(stream).into_iter().flatten();
        stored.map(|stored| stored.cell.clone()).collect()
    }

    /// Returns the ids of all streams that have a cell, sorted; for assertions.
    pub fn stream_ids(&self) -> Vec<StreamId> {
        self.streams.lock().keys().cloned().collect()
    }

    /// Turns the data cell with this number into a tombstone ([R22](esm_core::protocol#r22)), as a deletion does. Returns
    /// whether there was such a cell.
    pub fn bury(&self, stream: &StreamId, seq: u64) -> bool {
        let mut streams = self.streams.lock();
        let cells = streams.get_mut(stream).into_iter().flatten();
        let cell = cells
            .map(|stored| &mut stored.cell)
            .find(|cell| cell.header.seq == seq)
            .filter(|cell| matches!(cell.header.kind, CellKind::Data { .. }));
        let Some(cell) = cell else { return false };
        cell.header.kind = CellKind::Tombstone;
        cell.events.clear();
        true
    }

    /// Loses the cells of a stream from this number on, as a damaged disk does.
    pub fn lose_from(&self, stream: &StreamId, seq: u64) {
        let mut streams = self.streams.lock();
        let Some(cells) = streams.get_mut(stream) else {
            return;
        };
        cells.retain(|stored| stored.cell.header.seq < seq);
        if cells.is_empty() {
            streams.remove(stream);
        }
    }

    /// Exchanges the first cells of two streams, like files that were mixed up. Returns whether both
    /// have one.
    pub fn exchange_first(&self, one: &StreamId, other: &StreamId) -> bool {
        let mut streams = self.streams.lock();
        let first = |stream: &StreamId| streams.get(stream)?.first().cloned();
        let (Some(first_of_one), Some(first_of_other)) = (first(one), first(other)) else {
            return false;
        };
        for (stream, cell) in [(one, first_of_other), (other, first_of_one)] {
            if let Some(cells) = streams.get_mut(stream) {
                cells[0] = cell;
            }
        }
        true
    }

    /// Every write ends here. Either nothing happens, or exactly one cell is pushed at the expected
    /// tail.
    fn write(
        &self,
        stream: &StreamId,
        expected: &Tail,
        commit: CommitId,
        kind: CellKind,
        events: Vec<CellEvent>,
    ) -> Result<Tail> {
        let mut streams = self.streams.lock();
        let cells = streams.get(stream).map_or(&[][..], Vec::as_slice);
        if let Some(written) = already_written(cells, expected, commit) {
            return Ok(Tail::after(written.clone()));
        }
        tail_of(cells).check_expected(expected)?;
        let header = tail_of(cells).next_header(commit, events.len() as u64, kind);
        let tail = Tail::after(header.clone());
        let stored = Stored {
            stream: stream.clone(),
            cell: Cell { header, events },
        };
        streams.entry(stream.clone()).or_default().push(stored);
        Ok(tail)
    }

    fn check(&self, append: &Append) -> Result<()> {
        if append.events.is_empty() && append.cursor.is_none() {
            return Err(Error::invalid("cell has neither events nor a cursor"));
        }
        let sizes = append.events.iter().map(|e| e.event.approximate_size());
        let (count, bytes) = (append.events.len() as u64, sizes.clone().sum::<u64>());
        let too_large = count > self.limits.max_cell_events
            || bytes > self.limits.max_cell_bytes
            || sizes.max() > Some(self.limits.max_event_bytes);
        if too_large {
            Err(Error::new(
                ErrorKind::TooLarge,
                format!("cell is over the store's limits: {count} events, {bytes} bytes"),
            ))
        } else {
            Ok(())
        }
    }
}

/// The same write succeeds again if it succeeded before: the cell after the expected tail has its
/// commit.
fn already_written<'a>(
    cells: &'a [Stored],
    expected: &Tail,
    commit: CommitId,
) -> Option<&'a CellHeader> {
    let at = usize::try_from(expected.next_seq()).ok()?;
    let header = &cells.get(at)?.cell.header;
    let previous = expected.last.as_ref().map(|last| last.commit);
    (header.commit == commit && header.previous == previous).then_some(header)
}

fn tail_of(cells: &[Stored]) -> Tail {
    cells.last().map_or_else(Tail::default, |stored| {
        Tail::after(stored.cell.header.clone())
    })
}

/// Refuses a cell of another stream.
fn check_stream(stream: &StreamId, cells: &[Stored]) -> Result<()> {
    match cells.iter().find(|stored| stored.stream != *stream) {
        Some(stored) => Err(Error::corrupt(format!(
            "cell {} of {stream} belongs to another stream: {}",
            stored.cell.header.seq, stored.stream
        ))),
        None => Ok(()),
    }
}

/// The index of the cell to begin reading at; the number of cells when there is none.
fn position(cells: &[Stored], from: ReadFrom) -> usize {
    let first = |matches: &dyn Fn(&CellHeader) -> bool| {
        cells.iter().position(|stored| matches(&stored.cell.header))
    };
    let found = match from {
        ReadFrom::Seq(seq) => first(&|header| header.seq == seq),
        ReadFrom::Revision(revision) => {
            let end = tail_of(cells).next_revision();
            first(&|header| holds(header, revision))
                .or_else(|| first(&|header| revision == end && header.first_revision == revision))
        }
    };
    found.unwrap_or(cells.len())
}

fn holds(header: &CellHeader, revision: Revision) -> bool {
    (header.first_revision..header.next_revision()).contains(&revision)
}

#[async_trait]
impl EventStore for MemoryEventStore {
    fn id(&self) -> StoreId {
        self.id
    }

    fn aliases(&self) -> &[StoreId] {
        &self.aliases
    }

    fn place(&self) -> Option<&str> {
        self.place.as_deref()
    }

    fn limits(&self) -> StoreLimits {
        self.limits
    }

    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    async fn tail(&self, stream: &StreamId) -> Result<Tail> {
        let streams = self.streams.lock();
        let cells = streams.get(stream).map_or(&[][..], Vec::as_slice);
        check_stream(stream, &cells[cells.len().saturating_sub(1)..])?;
        Ok(tail_of(cells))
    }

    async fn read(&self, stream: &StreamId, from: ReadFrom, limit: PageLimit) -> Result<Page> {
        let streams = self.streams.lock();
        let all = streams.get(stream).map_or(&[][..], Vec::as_slice);
        let wanted = &all[position(all, from)..];
        let mut bytes = 0;
        let fitting = wanted.iter().take_while(|stored| {
            bytes += stored
                .cell
                .events
                .iter()
                .map(|e| e.event.approximate_size())
                .sum::<u64>();
            bytes <= limit.bytes
        });
        // the first cell is always in the page, however large
        let count = fitting.count().min(limit.cells).max(1).min(wanted.len());
        check_stream(stream, &wanted[..count])?;
        let cells = wanted[..count].iter().map(|stored| stored.cell.clone());
        Ok(Page {
            cells: cells.collect(),
            at_end: count == wanted.len(),
        })
    }

    async fn append(&self, stream: &StreamId, expected: &Tail, append: Append) -> Result<Tail> {
        self.check(&append)?;
        let kind = append.kind();
        self.write(stream, expected, append.commit, kind, append.events)
    }

    async fn close(
        &self,
        stream: &StreamId,
        expected: &Tail,
        commit: CommitId,
        close: Close,
    ) -> Result<Tail> {
        if close.events != expected.next_revision() {
            return Err(Error::invalid(format!(
                "close counts {} events at a tail of {}",
                close.events,
                expected.next_revision()
            )));
        }
        self.write(stream, expected, commit, CellKind::Close(close), Vec::new())
    }

    async fn fence(
        &self,
        stream: &StreamId,
        expected: &Tail,
        commit: CommitId,
        fence: Fence,
    ) -> Result<Tail> {
        if !self.capabilities.fence {
            return Err(Error::unsupported("this store cannot fence streams"));
        }
        self.write(stream, expected, commit, CellKind::Fence(fence), Vec::new())
    }

    async fn discard(&self, stream: &StreamId) -> Result<()> {
        if !self.capabilities.discard {
            return Err(Error::unsupported("this store cannot discard streams"));
        }
        self.streams.lock().remove(stream);
        Ok(())
    }
}
