//! Event stores: ordered cells with exact expected tails.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, Stream, StreamExt as _};

use crate::error::{Error, ErrorKind, Result};
use crate::event::{Event, Revision};
use crate::id::{CommitId, StoreId, StreamId};
use crate::store::capabilities::{Capabilities, StoreLimits};
use crate::store::cell::{Cell, CellEvent, CellHeader, CellKind, Close, Fence, Origin};

/// The observed end of a stream. A stream without cells does not exist; it is empty.
///
/// An append that expects this tail succeeds only if nothing was written since it was observed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tail {
    /// The header of the last cell; absent when there is no cell.
    pub last: Option<CellHeader>,
    /// The store's own token for exactly this state; empty where [`last`](Self::last) is enough.
    pub token: Bytes,
}

impl Tail {
    /// The tail of a stream whose last cell this is, in a store without tokens.
    pub fn after(last: CellHeader) -> Self {
        Self {
            last: Some(last),
            token: Bytes::new(),
        }
    }

    /// Whether there is no cell.
    pub fn is_empty(&self) -> bool {
        self.last.is_none()
    }

    /// The number that the next cell gets.
    pub fn next_seq(&self) -> u64 {
        self.last.as_ref().map_or(0, |h| h.seq + 1)
    }

    /// Number of events in the stream.
    pub fn next_revision(&self) -> Revision {
        self.last
            .as_ref()
            .map_or(Revision::START, CellHeader::next_revision)
    }

    /// The last control cell of the stream.
    pub fn last_control(&self) -> Option<u64> {
        self.last.as_ref().and_then(CellHeader::control_so_far)
    }

    /// The Close, if the stream is closed.
    pub fn close(&self) -> Option<&Close> {
        match self.last.as_ref().map(|h| &h.kind) {
            Some(CellKind::Close(close)) => Some(close),
            _ => None,
        }
    }

    /// The header of the cell that would follow.
    pub fn next_header(&self, commit: CommitId, count: u64, kind: CellKind) -> CellHeader {
        CellHeader {
            seq: self.next_seq(),
            first_revision: self.next_revision(),
            count,
            commit,
            previous: self.last.as_ref().map(|h| h.commit),
            last_control: self.last_control(),
            kind,
        }
    }
}

/// A data cell to be written.
#[derive(Debug, Clone)]
pub struct Append {
    /// Drawn for this one write, and used again only when the very same write is retried.
    pub commit: CommitId,
    /// In the first cell of a migration's target.
    pub origin: Option<Origin>,
    /// In every cell that a copier writes.
    pub cursor: Option<Revision>,
    /// The events; none is allowed where a cursor is given.
    pub events: Vec<CellEvent>,
}

impl Append {
    /// An application's append: events only.
    pub fn events(commit: CommitId, events: Vec<CellEvent>) -> Self {
        Self {
            commit,
            origin: None,
            cursor: None,
            events,
        }
    }

    /// The kind of cell that this becomes.
    pub fn kind(&self) -> CellKind {
        CellKind::Data {
            origin: self.origin.clone(),
            cursor: self.cursor,
        }
    }
}

/// Where to begin reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadFrom {
    /// At this cell.
    Seq(u64),
    /// At the cell that holds this event; at the first cell that begins there when it is the
    /// number of events.
    Revision(Revision),
}

/// How much a page may hold. The first cell is always in it, however large.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageLimit {
    /// At most this many cells.
    pub cells: usize,
    /// At most about this many bytes, uncompressed.
    pub bytes: u64,
}

impl Default for PageLimit {
    fn default() -> Self {
        Self {
            cells: 16,
            bytes: 4 << 20,
        }
    }
}

/// Cells in order, without gaps, control cells included.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// The cells; none if and only if there was nothing at or after the place asked for.
    pub cells: Vec<Cell>,
    /// Whether the last cell was the stream's last when the page was read. `false` says nothing:
    /// read on from the next seq, until a page is empty or says `true`.
    pub at_end: bool,
}

/// Where streams live.
///
/// # Guarantees
/// 1. A cell is written whole or not at all, and never changes afterwards, except into a tombstone
///    that keeps its header's numbers.
/// 2. Cells are numbered from 0 without gaps; a number, once taken, stays taken, except by
///    [`discard`](Self::discard).
/// 3. An acknowledged write is durable, and every later read of any process sees it.
/// 4. Of several writes that expect the same tail, at most one succeeds.
/// 5. After a Close nothing is ever appended.
#[async_trait]
pub trait EventStore: Send + Sync + Debug + 'static {
    /// The store's random identity, from its marker.
    fn id(&self) -> StoreId;

    /// Earlier ids of the store, from its marker. What names one of them means this store, unless
    /// another open store has it as its own id. Defaults to none.
    fn aliases(&self) -> &[StoreId] {
        &[]
    }

    /// A text that is the same for the same place however it was addressed, and another for every
    /// other place; `None` where that is not known. Two stores with one id in different places are
    /// a store and its copy. Defaults to `None`.
    fn place(&self) -> Option<&str> {
        None
    }

    /// What the store accepts.
    fn limits(&self) -> StoreLimits;

    /// Size of an event in bytes, as [`limits`](Self::limits) counts it. Defaults to the event's
    /// approximate size.
    fn size_of(&self, event: &Event) -> u64 {
        event.approximate_size()
    }

    /// What the store offers beyond the required.
    fn capabilities(&self) -> Capabilities;

    /// Returns where a cell is kept, such as its key or file, for messages; without credentials.
    /// Defaults to `None`: the store has no name for it.
    fn place_of_cell(&self, _stream: &StreamId, _seq: u64) -> Option<String> {
        None
    }

    /// Returns the newest tail that a refused append of this process has found, without a request.
    /// It may be outdated: only for another append, which is refused then. Defaults to `None`.
    fn seen_tail(&self, _stream: &StreamId) -> Option<Tail> {
        None
    }

    /// Names the cell at which to begin to look for the end of a stream, as a Close says. It need not
    /// be there. Defaults to nothing.
    fn expect_cell(&self, _stream: &StreamId, _seq: u64) {}

    /// The observed end of a stream; [`Tail::is_empty`] when it has no cell.
    ///
    /// # Guarantees
    /// 6. Never older than what this process has read or written, nor than any write that was
    ///    acknowledged to anybody before the call.
    ///
    /// # Errors
    /// `Corrupt`, naming the cell's key; `Unavailable`.
    async fn tail(&self, stream: &StreamId) -> Result<Tail>;

    /// Cells in order, from a place on. A place beyond the end gives an empty page.
    ///
    /// # Guarantees
    /// 7. No cell is left out, control cells and tombstones included.
    ///
    /// # Errors
    /// `Corrupt`, naming the cell's key; `Gone` when a cell below a later one is absent;
    /// `Unavailable`.
    async fn read(&self, stream: &StreamId, from: ReadFrom, limit: PageLimit) -> Result<Page>;

    /// Appends a data cell at exactly this tail, and returns the new tail.
    ///
    /// # Errors
    /// - `Conflict` with the actual number of events, when the stream has moved on.
    /// - `Closed` when it was closed; before `Conflict`.
    /// - `Invalid` for a cell with neither events nor a cursor; `TooLarge` over the limits.
    /// - `Ambiguous` when the outcome is unknown and the store could not find out itself.
    ///
    /// # Idempotence
    /// The very same append, with its commit id, at the same tail succeeds again if it succeeded,
    /// also when others, or a Close, came after it.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the outcome unknown, as after `Ambiguous`.
    async fn append(&self, stream: &StreamId, expected: &Tail, append: Append) -> Result<Tail>;

    /// Appends a Close at exactly this tail: atomically the last cell of the stream.
    ///
    /// # Errors
    /// As [`append`](Self::append). `Invalid` when [`Close::events`] is not the tail's number of
    /// events.
    async fn close(
        &self,
        stream: &StreamId,
        expected: &Tail,
        commit: CommitId,
        close: Close,
    ) -> Result<Tail>;

    /// Appends a Fence at exactly this tail.
    ///
    /// # Errors
    /// As [`append`](Self::append). `Unsupported` without the [capability](Capabilities::fence).
    async fn fence(
        &self,
        stream: &StreamId,
        expected: &Tail,
        commit: CommitId,
        fence: Fence,
    ) -> Result<Tail>;

    /// Removes a stream that was never closed to and that no application ever wrote to
    /// ([R22](crate::protocol#r22)); the caller must know that. Succeeds for an absent stream.
    ///
    /// # Errors
    /// `Unsupported` without the [capability](Capabilities::discard).
    ///
    /// # Idempotence
    /// May be repeated, and continues where an interrupted call stopped.
    async fn discard(&self, stream: &StreamId) -> Result<()>;
}

/// What reading back showed about a write with an unknown outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// It happened: this is the cell's header.
    Mine(Box<CellHeader>),
    /// The number has another writer's cell: it did not happen and never will.
    Lost,
    /// The number has no cell yet: the very same write may be sent again.
    Absent,
}

/// Convenience methods of every [`EventStore`].
#[async_trait]
pub trait EventStoreExt {
    /// Reads a stream's cells from a place to its end, a page at a time.
    fn cells(
        self: Arc<Self>,
        stream: StreamId,
        from: ReadFrom,
        limit: PageLimit,
    ) -> stream::BoxStream<'static, Result<Cell>>;

    /// The cell with this number.
    async fn cell(&self, stream: &StreamId, seq: u64) -> Result<Option<Cell>>;

    /// Settles a write of this commit at this seq by reading back ([R10](crate::protocol#r10)).
    async fn settle(&self, stream: &StreamId, seq: u64, commit: CommitId) -> Result<Settled>;

    /// Where the stream comes from, if a migration wrote it.
    async fn origin(&self, stream: &StreamId) -> Result<Option<Origin>>;
}

#[async_trait]
impl<S: EventStore + ?Sized> EventStoreExt for S {
    fn cells(
        self: Arc<Self>,
        stream: StreamId,
        from: ReadFrom,
        limit: PageLimit,
    ) -> stream::BoxStream<'static, Result<Cell>> {
        pages(
            move |from| {
                let (store, stream) = (Arc::clone(&self), stream.clone());
                async move { store.read(&stream, from, limit).await }
            },
            from,
        )
        .flat_map(|page| match page {
            Ok(page) => stream::iter(page.cells).map(Ok).left_stream(),
            Err(error) => stream::iter([Err(error)]).right_stream(),
        })
        .boxed()
    }

    async fn cell(&self, stream: &StreamId, seq: u64) -> Result<Option<Cell>> {
        let limit = PageLimit { cells: 1, bytes: 0 };
        let page = self.read(stream, ReadFrom::Seq(seq), limit).await?;
        Ok(page.cells.into_iter().next())
    }

    async fn settle(&self, stream: &StreamId, seq: u64, commit: CommitId) -> Result<Settled> {
        Ok(match self.cell(stream, seq).await? {
            None => Settled::Absent,
            Some(cell) if cell.header.commit == commit => Settled::Mine(Box::new(cell.header)),
            Some(_) => Settled::Lost,
        })
    }

    async fn origin(&self, stream: &StreamId) -> Result<Option<Origin>> {
        let first = self.cell(stream, 0).await?;
        Ok(first.and_then(|cell| cell.header.origin().cloned()))
    }
}

fn pages<F, Fut>(read: F, from: ReadFrom) -> impl Stream<Item = Result<Page>>
where
    F: Fn(ReadFrom) -> Fut,
    Fut: Future<Output = Result<Page>>,
{
    stream::try_unfold((Some(from), read), |(from, read)| async move {
        let Some(from) = from else { return Ok(None) };
        let page = read(from).await?;
        let Some(last) = page.cells.last() else {
            return Ok(None);
        };
        let next = (!page.at_end).then_some(ReadFrom::Seq(last.header.seq + 1));
        Ok(Some((page, (next, read))))
    })
}

impl Tail {
    /// Checks that the stream ends at `expected`, for an append there. For implementors.
    ///
    /// # Errors
    /// `Closed` or `Conflict`.
    pub fn check_expected(&self, expected: &Self) -> Result<()> {
        let commit = |t: &Self| t.last.as_ref().map(|h| (h.seq, h.commit));
        if let Some(close) = self.close() {
            let message = format!("stream is closed after {} events", close.events);
            return Err(Error::new(
                ErrorKind::Closed(Box::new(close.clone())),
                message,
            ));
        }
        if commit(self) == commit(expected) {
            return Ok(());
        }
        let actual = self.next_revision();
        Err(Error::new(
            ErrorKind::Conflict {
                actual: Some(actual.0),
            },
            format!(
                "stream has moved on: expected {} events, found {actual}",
                expected.next_revision()
            ),
        ))
    }
}
