//! Finding the end of a stream.

use esm_core::id::StreamId;
use esm_core::store::{CellHeader, Tail};
use esm_core::{Error, ErrorKind, Result};

use super::cells::ObjectEventStore;
use crate::probe;

impl ObjectEventStore {
    /// The end of a stream: from what this process knows, else from the beginning of a short one,
    /// else from the hint.
    pub(super) async fn find_tail(&self, stream: &StreamId) -> Result<Tail> {
        if let Some(known) = self.known.get(stream) {
            if let Some(tail) = self.tail_from(stream, known).await? {
                return Ok(tail);
            }
            // another process discarded the stream
            self.known.forget(stream);
        }
        let mut start = self
            .backend
            .together([0, 1], |seq| self.header(stream, seq))
            .await?;
        match (start.pop().flatten(), start.pop().flatten()) {
            (None, None) => Ok(Tail::default()),
            (None, Some(only)) => Ok(self.noted(stream, only)),
            (Some(second), first) => {
                if first.is_none() && self.header(stream, 0).await?.is_none() {
                    return Err(self.gone(stream, 0));
                }
                match self.tail_from_hint(stream).await? {
                    Some(tail) => Ok(tail),
                    None => Ok(self
                        .tail_from(stream, 1)
                        .await?
                        .unwrap_or_else(|| self.noted(stream, second))),
                }
            }
        }
    }

    async fn tail_from(&self, stream: &StreamId, base: u64) -> Result<Option<Tail>> {
        let last = probe::last(base, |seq| self.header(stream, seq)).await?;
        Ok(last.map(|found| self.noted(stream, found.object)))
    }

    /// The hint may be stale, missing or wrong: it says where to look, and the cell there says
    /// whether it is right.
    async fn tail_from_hint(&self, stream: &StreamId) -> Result<Option<Tail>> {
        let key = self.backend.layout().head(stream);
        let hint = self.backend.get(&key).await?;
        let seq = hint
            .and_then(|hint| std::str::from_utf8(&hint).ok()?.trim().parse().ok())
            .filter(|seq: &u64| (2..u64::MAX / 4).contains(seq));
        match seq {
            Some(seq) => self.tail_from(stream, seq).await,
            None => Ok(None),
        }
    }

    fn noted(&self, stream: &StreamId, last: CellHeader) -> Tail {
        self.known.note(stream, last.seq);
        Tail::after(last)
    }

    /// A cell is absent although a later one is there.
    pub(super) fn gone(&self, stream: &StreamId, seq: u64) -> Error {
        let key = self.backend.layout().cell(stream, seq);
        Error::new(
            ErrorKind::Gone,
            format!(
                "cell is absent although a later one is there: {}",
                self.backend.place(&key)
            ),
        )
        .with_hint("it was deleted from the storage; restore the stream from a backup")
    }
}
