//! Writing a cell at an exact tail: one conditional write, settled by the commit id.

use bytes::Bytes;
use esm_core::id::StreamId;
use esm_core::store::{Cell, StoreLimits, Tail};
use esm_core::{Error, ErrorKind, Result};

use super::cells::{INLINE_BYTES, ObjectEventStore, off_thread};
use crate::backend::Creation;

/// How many cells apart the hint of a stream's end is written.
pub(super) const HINT_EVERY: u64 = 64;

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
        match self.backend.create(&key, &body, is_mine).await? {
            Creation::Created => {
                self.known.note(stream, header.seq);
                self.leave_hint(stream, header.seq).await;
                Ok(Tail::after(header))
            }
            Creation::Taken(_) => Err(self.beaten(stream, expected, header.seq).await?),
        }
    }

    /// What an append gets whose cell another wrote: `Closed` or `Conflict` with the actual count.
    async fn beaten(&self, stream: &StreamId, expected: &Tail, seq: u64) -> Result<Error> {
        self.known.note(stream, seq);
        let actual = self.find_tail(stream).await?;
        Ok(match actual.check_expected(expected) {
            Err(error) => error,
            // the stream was discarded meanwhile and ends where it was expected to
            Ok(()) => Error::new(
                ErrorKind::Conflict { actual: None },
                format!("stream was written to and discarded meanwhile: {stream}"),
            ),
        })
    }

    /// Says how far the stream has come, now and then. Nothing rests on it: readers trust only
    /// what the hinted cell says, so a failure is not worth one.
    async fn leave_hint(&self, stream: &StreamId, seq: u64) {
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
