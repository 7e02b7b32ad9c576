//! Writing a cell at an exact tail: one conditional write, settled by the commit id.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use esm_core::id::StreamId;
use esm_core::store::{Cell, CellHeader, CellKind, StoreLimits, Tail};
use esm_core::{Error, ErrorKind, Result};
use futures::future;

use super::cells::{INLINE_BYTES, ObjectEventStore, off_thread};
use crate::backend::Creation;

/// How many cells apart the hint of a stream's end is written.
pub(super) const HINT_EVERY: u64 = 16;
/// Cells that are read behind one that another wrote.
const READ_BEHIND: u64 = 3;

/// What was found where a cell was to be written, if it was read back.
#[derive(Default)]
struct Behind(Mutex<Vec<Option<CellHeader>>>);

impl Behind {
    fn set(&self, headers: Vec<Option<CellHeader>>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = headers;
    }

    fn take(self) -> Vec<Option<CellHeader>> {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ObjectEventStore {
    /// Writes the cell that follows `expected`.
    ///
    /// That tail is the caller's proof of having read or written the cell before ([R7](esm_core::protocol#r7)), so this is
    /// one write and nothing else: if the number is free, nothing was written since, and the cell
    /// before it, which is no Close, is the last one.
    pub(super) async fn write(
        &self,
        stream: &StreamId,
        expected: &Tail,
        cell: Cell,
    ) -> Result<Tail> {
        if expected.close().is_some() {
            expected.check_expected(expected)?;
        }
        let header = cell.header.clone();
        let body = encode(cell, stream, self.backend.limits())
            .await
            .map_err(|e| e.context(format!("stream {stream}")))?;
        let key = self.backend.layout().cell(stream, header.seq);
        let is_mine = |found: &Bytes| {
            let found = self.decode_header(stream, header.seq, found)?;
            Ok(found.commit == header.commit)
        };
        let behind = Behind::default();
        let read_back =
            |exists: bool| self.read_back(stream, header.seq, exists.then_some(&behind));
        let created = self.backend.create_reading(&key, &body, is_mine, read_back);
        let (created, ()) = future::join(created, self.leave_hint(stream, expected)).await;
        match created? {
            Creation::Created => {
                self.known.note(stream, header.seq);
                self.seen.forget(stream);
                Ok(Tail::after(header))
            }
            Creation::Taken(found) => {
                let found = self.decode_header(stream, header.seq, &found)?;
                let actual = self.tail_behind(stream, found, behind.take()).await?;
                self.seen.note(stream, &actual);
                Err(beaten(stream, expected, &actual))
            }
        }
    }

    /// Reads a cell whose write failed; with it those `behind` it, where others have most likely
    /// written it.
    async fn read_back(
        &self,
        stream: &StreamId,
        seq: u64,
        behind: Option<&Behind>,
    ) -> Result<Option<Bytes>> {
        let key = self.backend.layout().cell(stream, seq);
        let Some(behind) = behind else {
            return self.backend.get(&key).await;
        };
        let later = seq + 1..=seq + READ_BEHIND;
        let later = self.backend.together(later, |seq| self.header(stream, seq));
        let (found, later) = future::join(self.backend.get(&key), later).await;
        // the outcome of the write depends on its own cell alone
        behind.set(later.unwrap_or_default());
        found
    }

    /// The end of a stream, by a cell and what was found behind it.
    async fn tail_behind(
        &self,
        stream: &StreamId,
        found: CellHeader,
        behind: Vec<Option<CellHeader>>,
    ) -> Result<Tail> {
        let mut last = found;
        self.known.note(stream, last.seq);
        for header in behind {
            if matches!(last.kind, CellKind::Close(_)) {
                break;
            }
            let Some(header) = header else {
                self.known.note(stream, last.seq);
                return Ok(Tail::after(last));
            };
            last = header;
        }
        self.known.note(stream, last.seq);
        if matches!(last.kind, CellKind::Close(_)) {
            return Ok(Tail::after(last));
        }
        self.find_tail(stream).await
    }

    /// Says how far the stream has come, now and then, while the next cell is written. Nothing rests
    /// on it: readers trust only what the hinted cell says, so a failure is not worth one.
    async fn leave_hint(&self, stream: &StreamId, expected: &Tail) {
        let Some(seq) = expected.last.as_ref().map(|last| last.seq) else {
            return;
        };
        if !(seq + 1).is_multiple_of(HINT_EVERY) {
            return;
        }
        let key = self.backend.layout().head(stream);
        let hint = Bytes::from(format!("{seq}\n"));
        if let Err(error) = self.backend.overwrite(&key, &hint).await {
            tracing::debug!(%stream, seq, %error, "cannot write the hint of a stream's end");
        }
    }
}

/// What an append gets whose cell another wrote: `Closed` or `Conflict` with the actual count.
fn beaten(stream: &StreamId, expected: &Tail, actual: &Tail) -> Error {
    match actual.check_expected(expected) {
        Err(error) => error,
        // the stream was discarded meanwhile and ends where it was expected to
        Ok(()) => Error::new(
            ErrorKind::Conflict { actual: None },
            format!("stream was written to and discarded meanwhile: {stream}"),
        ),
    }
}

async fn encode(cell: Cell, stream: &StreamId, limits: StoreLimits) -> Result<Bytes> {
    let size: usize = cell
        .events
        .iter()
        .map(|event| event.event.payload.len() + 256)
        .sum();
    match size {
        0..INLINE_BYTES => esm_format::cell::encode_within(&cell, stream, &limits),
        _ => {
            let stream = stream.clone();
            off_thread(move || esm_format::cell::encode_within(&cell, &stream, &limits)).await
        }
    }
}
