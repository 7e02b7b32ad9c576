//! The event store, and single cells of it.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use esm_core::event::{Event, Revision};
use esm_core::id::{CommitId, StoreId, StreamId};
use esm_core::store::{
    Append, Capabilities, Cell, CellHeader, CellKind, Close, EventStore, Fence, Page, PageLimit,
    ReadFrom, StoreLimits, Tail,
};
use esm_core::{Error, ErrorKind, Result};
use esm_format::cloudevent::{self, Attributes};

use crate::backend::Backend;
use crate::known::{Known, Seen};
use crate::marker::Marker;

/// Enough for the first line of almost every cell.
const HEADER_BYTES: u64 = 4 << 10;
/// What is larger is decoded and encoded off the threads that wait for the network.
pub(super) const INLINE_BYTES: usize = 16 << 10;

/// Streams over an object store.
#[derive(Debug)]
pub(crate) struct ObjectEventStore {
    pub(super) backend: Arc<Backend>,
    pub(super) id: StoreId,
    aliases: Vec<StoreId>,
    /// The last cell of a stream that this process has seen.
    pub(super) known: Known<StreamId>,
    /// Cells that a Close names as the last ones, until the end was searched for. Nobody has seen them.
    pub(super) named: Known<StreamId>,
    /// What refused appends have found.
    pub(super) seen: Seen,
    /// Where the next page of a stream begins that is being read page by page.
    pub(super) next_page: Known<StreamId>,
    /// Bytes of the cells of a stream, uncompressed: the largest average of a page that was read.
    pub(super) cell_bytes: Known<StreamId>,
    /// The hint of a stream's end that this process has found to be true.
    pub(super) hinted: Known<StreamId>,
}

impl ObjectEventStore {
    pub(crate) fn new(backend: Arc<Backend>, marker: &Marker) -> Self {
        Self {
            backend,
            id: marker.store,
            aliases: marker.aliases.clone(),
            known: Known::default(),
            named: Known::default(),
            seen: Seen::default(),
            next_page: Known::default(),
            cell_bytes: Known::default(),
            hinted: Known::default(),
        }
    }

    /// The header of a cell; nothing when there is no such cell.
    pub(super) async fn header(&self, stream: &StreamId, seq: u64) -> Result<Option<CellHeader>> {
        let key = self.backend.layout().cell(stream, seq);
        let Some(start) = self.backend.get_start(&key, HEADER_BYTES).await? else {
            return Ok(None);
        };
        let is_whole = (start.len() as u64) < HEADER_BYTES;
        match self.decode_header(stream, seq, &start) {
            Err(error) if is_whole => Err(error),
            Ok(header) => Ok(Some(header)),
            Err(_) => match self.backend.get(&key).await? {
                Some(whole) => self.decode_header(stream, seq, &whole).map(Some),
                None => Ok(None),
            },
        }
    }

    pub(super) fn decode_header(
        &self,
        stream: &StreamId,
        seq: u64,
        bytes: &[u8],
    ) -> Result<CellHeader> {
        let header = esm_format::cell::decode_header(bytes, stream)
            .map_err(|e| self.at_cell(e, stream, seq))?;
        self.check_place(stream, seq, &header)?;
        Ok(header)
    }

    /// A whole cell; nothing when there is no such cell.
    pub(super) async fn cell(&self, stream: &StreamId, seq: u64) -> Result<Option<Cell>> {
        let key = self.backend.layout().cell(stream, seq);
        let Some(bytes) = self.backend.get(&key).await? else {
            return Ok(None);
        };
        let cell = decode(bytes, stream)
            .await
            .map_err(|e| self.at_cell(e, stream, seq))?;
        self.check_place(stream, seq, &cell.header)?;
        Ok(Some(cell))
    }

    fn check_place(&self, stream: &StreamId, seq: u64, header: &CellHeader) -> Result<()> {
        let first_is_first =
            header.seq > 0 || (header.previous.is_none() && header.first_revision.0 == 0);
        if header.seq == seq && first_is_first {
            return Ok(());
        }
        let wrong = Error::corrupt(format!("cell says that it is number {}", header.seq));
        Err(self.at_cell(wrong, stream, seq))
    }

    /// Names the cell that an error is about, with its key.
    pub(super) fn at_cell(&self, error: Error, stream: &StreamId, seq: u64) -> Error {
        let key = self.backend.layout().cell(stream, seq);
        let error = error.context(format!("cell {}", self.backend.place(&key)));
        match error.hint() {
            None if *error.kind() == ErrorKind::Corrupt => error.with_hint(
                "somebody changed it: put back the original, or restore the object from a \
                 backup",
            ),
            _ => error,
        }
    }
}

async fn decode(bytes: Bytes, stream: &StreamId) -> Result<Cell> {
    match bytes.len() {
        0..INLINE_BYTES => esm_format::cell::decode(&bytes, stream),
        _ => {
            let stream = stream.clone();
            off_thread(move || esm_format::cell::decode(&bytes, &stream)).await
        }
    }
}

/// Computes where that does not hold up anybody who waits for the network.
pub(super) async fn off_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        // it is never aborted
        Err(stopped) => std::panic::resume_unwind(stopped.into_panic()),
    }
}

#[async_trait]
impl EventStore for ObjectEventStore {
    fn id(&self) -> StoreId {
        self.id
    }

    fn aliases(&self) -> &[StoreId] {
        &self.aliases
    }

    fn place(&self) -> Option<&str> {
        self.backend.canonical_place()
    }

    fn limits(&self) -> StoreLimits {
        self.backend.limits()
    }

    fn size_of(&self, event: &Event) -> u64 {
        // as a line with its end
        cloudevent::encoded_len(event, &Attributes::default()) + 1
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::default().with_discard(self.backend.check_writable().is_ok())
    }

    fn place_of_cell(&self, stream: &StreamId, seq: u64) -> Option<String> {
        let key = self.backend.layout().cell(stream, seq);
        Some(self.backend.place(&key))
    }

    fn seen_tail(&self, stream: &StreamId) -> Option<Tail> {
        self.seen.get(stream)
    }

    fn expect_cell(&self, stream: &StreamId, seq: u64) {
        // more than this would be no number of a cell
        if seq < u64::MAX / 4 {
            self.named.note(stream, seq);
        }
    }

    async fn tail(&self, stream: &StreamId) -> Result<Tail> {
        self.find_tail(stream).await
    }

    async fn read(&self, stream: &StreamId, from: ReadFrom, limit: PageLimit) -> Result<Page> {
        let seq = match from {
            ReadFrom::Seq(seq) => Some(seq),
            ReadFrom::Revision(Revision::START) => {
                let page = self.read_page(stream, 0, limit).await?;
                // almost always the first event is in the first cell
                if page
                    .cells
                    .first()
                    .is_none_or(|first| first.header.count > 0)
                {
                    return Ok(page);
                }
                self.seq_of(stream, Revision::START).await?
            }
            ReadFrom::Revision(revision) => self.seq_of(stream, revision).await?,
        };
        match seq {
            Some(seq) => self.read_page(stream, seq, limit).await,
            None => Ok(Page {
                cells: Vec::new(),
                at_end: true,
            }),
        }
    }

    async fn append(&self, stream: &StreamId, expected: &Tail, append: Append) -> Result<Tail> {
        if append.events.is_empty() && append.cursor.is_none() {
            return Err(Error::invalid("append has neither events nor a cursor"));
        }
        let count = append.events.len() as u64;
        let header = expected.next_header(append.commit, count, append.kind());
        let events = append.events;
        self.write(stream, expected, Cell { header, events }).await
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
                "close counts other events than the stream has: {} instead of {}",
                close.events,
                expected.next_revision()
            )));
        }
        let header = expected.next_header(commit, 0, CellKind::Close(close));
        let events = Vec::new();
        self.write(stream, expected, Cell { header, events }).await
    }

    async fn fence(
        &self,
        stream: &StreamId,
        expected: &Tail,
        commit: CommitId,
        fence: Fence,
    ) -> Result<Tail> {
        let header = expected.next_header(commit, 0, CellKind::Fence(fence));
        let events = Vec::new();
        self.write(stream, expected, Cell { header, events }).await
    }

    async fn discard(&self, stream: &StreamId) -> Result<()> {
        self.remove(stream).await
    }
}
