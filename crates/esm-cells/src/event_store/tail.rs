//! Finding the end of a stream.

use esm_core::id::StreamId;
use esm_core::store::{CellHeader, Tail};
use esm_core::{Error, ErrorKind, Result};
use futures::future;

use super::append::HINT_EVERY;
use super::cells::ObjectEventStore;
use crate::probe::{self, Found};

/// What is asked for at once behind the second cell of a stream without a hint. Another round finds
/// the end of every stream that is too short for one.
const WITHOUT_HINT: [u64; 4] = [2, 4, 8, 13];
/// What is asked for at once, counted from the hinted cell. Another round finds the end before the
/// next cell that is hinted.
const BEHIND_HINT: [u64; 4] = [0, 4, 8, 13];

impl ObjectEventStore {
    /// The end of a stream: from the cell that a Close names, or what this process knows, else from the beginning of a short one,
    /// else from the hint. What this process does not know takes at most 3 rounds of requests.
    pub(super) async fn find_tail(&self, stream: &StreamId) -> Result<Tail> {
        let known = self.known.get(stream);
        let named = self.named.take(stream);
        if let Some(named) = named.filter(|named| known.is_none_or(|known| known < *named))
            && let Some(tail) = self.tail_from(stream, named).await?
        {
            return Ok(tail);
        }
        if let Some(known) = known {
            if let Some(tail) = self.tail_from(stream, known).await? {
                return Ok(tail);
            }
            // another process discarded the stream
            self.known.forget(stream);
        }
        let start = self
            .backend
            .together([0, 1], |seq| self.header(stream, seq));
        let (mut start, hint) = future::try_join(start, self.hint(stream)).await?;
        match (start.pop().flatten(), start.pop().flatten()) {
            (None, None) => Ok(Tail::default()),
            (None, Some(only)) => Ok(self.noted(stream, only)),
            (Some(second), first) => {
                if first.is_none() && self.header(stream, 0).await?.is_none() {
                    return Err(self.gone(stream, 0));
                }
                if let Some(hint) = hint
                    && let Some(tail) = self.tail_from_hint(stream, hint).await?
                {
                    return Ok(tail);
                }
                let second = Found {
                    number: 1,
                    object: second,
                };
                let at = |seq| self.header(stream, seq);
                let last = probe::beyond_among(second, &WITHOUT_HINT, at).await?;
                Ok(self.noted(stream, last.object))
            }
        }
    }

    async fn tail_from(&self, stream: &StreamId, base: u64) -> Result<Option<Tail>> {
        let last = probe::last(base, |seq| self.header(stream, seq)).await?;
        Ok(last.map(|found| self.noted(stream, found.object)))
    }

    /// The hint may be stale, missing or wrong: it says where to look, and the cell there says
    /// whether it is right.
    async fn tail_from_hint(&self, stream: &StreamId, seq: u64) -> Result<Option<Tail>> {
        self.hinted.note(stream, seq);
        let numbers = BEHIND_HINT.map(|cells| seq + cells);
        let last = probe::last_among(&numbers, |seq| self.header(stream, seq)).await?;
        match last {
            Some(found) => Ok(Some(self.noted(stream, found.object))),
            None => self.refuse_lost(stream, seq).await.map(|()| None),
        }
    }

    /// Whether there is a cell behind this one, which was found absent, by the stream's hint. Asked
    /// once in a process, and only of streams that have a hint.
    pub(super) async fn goes_on_by_hint(&self, stream: &StreamId, absent: u64) -> Result<bool> {
        if absent < HINT_EVERY || self.hinted.get(stream).is_some() {
            return Ok(false);
        }
        let hint = self.hint(stream).await?;
        self.hinted.note(stream, hint.unwrap_or(0));
        let Some(seq) = hint.filter(|seq| *seq >= absent) else {
            return Ok(false);
        };
        if self.header(stream, seq).await?.is_some() {
            return Ok(true);
        }
        self.refuse_lost(stream, seq).await?;
        Ok(false)
    }

    async fn hint(&self, stream: &StreamId) -> Result<Option<u64>> {
        let key = self.backend.layout().head(stream);
        let hint = self.backend.get(&key).await?;
        Ok(hint
            .and_then(|hint| std::str::from_utf8(&hint).ok()?.trim().parse().ok())
            .filter(|seq: &u64| (2..u64::MAX / 4).contains(seq)))
    }

    /// Refuses a stream whose hint names a cell that was found absent. Hints are written behind
    /// their cell and removed before it, so one that is still there names a cell that was lost.
    /// Numbers that no writer leaves as a hint are ignored: then the hint itself is damaged.
    async fn refuse_lost(&self, stream: &StreamId, seq: u64) -> Result<()> {
        let is_written = (seq + 1).is_multiple_of(HINT_EVERY);
        if !is_written || self.hint(stream).await? != Some(seq) {
            return Ok(());
        }
        let layout = self.backend.layout();
        let (cell, head) = (layout.cell(stream, seq), layout.head(stream));
        let message = format!(
            "cell is absent although the hint of the stream's end names it: {}",
            self.backend.place(&cell)
        );
        Err(Error::new(ErrorKind::Gone, message).with_hint(format!(
            "put the absent cells back from a copy of the storage, or restore the object from a \
             backup; where no cell is missing, the hint is wrong: remove {head}"
        )))
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

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// The end of so many cells, and how many were asked for.
    async fn search(base: u64, numbers: &[u64], cells: u64) -> (u64, u64) {
        let asked = Cell::new(0);
        let known = Found {
            number: base,
            object: (),
        };
        let last = probe::beyond_among(known, numbers, |seq| {
            asked.set(asked.get() + 1);
            async move { Ok((seq < cells).then_some(())) }
        });
        (last.await.unwrap().number, asked.get())
    }

    #[tokio::test]
    async fn two_rounds_of_four_find_every_end_up_to_the_next_hint() {
        // a hint is written with the cell behind it, so one more cell may be there
        for cells in 2..=HINT_EVERY + 1 {
            let (last, asked) = search(1, &WITHOUT_HINT, cells).await;
            assert_eq!(last, cells - 1);
            assert!(asked <= 8, "{cells} cells: {asked}");
        }
        let hint = 10 * HINT_EVERY - 1;
        for cells in hint + 1..=hint + 1 + HINT_EVERY {
            let numbers = BEHIND_HINT.map(|behind| hint + behind);
            let (last, asked) = search(hint, &numbers, cells).await;
            assert_eq!(last, cells - 1);
            assert!(asked <= 8, "{cells} cells: {asked}");
        }
    }
}
