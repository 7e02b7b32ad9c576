//! Finding the cell that holds an event.

use esm_core::Result;
use esm_core::event::Revision;
use esm_core::id::StreamId;
use esm_core::store::CellHeader;

use super::cells::ObjectEventStore;

impl ObjectEventStore {
    /// The cell that holds this event, or the first that begins behind the last event; nothing
    /// when there is neither.
    pub(super) async fn seq_of(
        &self,
        stream: &StreamId,
        revision: Revision,
    ) -> Result<Option<u64>> {
        let tail = self.find_tail(stream).await?;
        let Some(last) = &tail.last else {
            return Ok(None);
        };
        let end = last.next_revision();
        if revision < end {
            let guess = (u128::from(revision.0) * (u128::from(last.seq) + 1)
                / u128::from(end.0.max(1))) as u64;
            let holds = |header: &CellHeader| header.next_revision() > revision;
            return self.first_where(stream, last.seq, guess, holds).await;
        }
        if revision > end || last.first_revision < end {
            return Ok(None);
        }
        let behind = |header: &CellHeader| header.first_revision >= end;
        self.first_where(stream, last.seq, last.seq, behind).await
    }

    /// The first cell up to `last` that something is true of: it must be true of `last`, and of
    /// every cell behind one that it is true of. Looks around `guess` first.
    async fn first_where(
        &self,
        stream: &StreamId,
        last: u64,
        guess: u64,
        test: impl Fn(&CellHeader) -> bool,
    ) -> Result<Option<u64>> {
        let (mut low, mut high) = (0, last);
        let mut asked: Vec<u64> = (guess.saturating_sub(1)..=guess.saturating_add(1))
            .filter(|seq| *seq < high)
            .collect();
        while low < high {
            if asked.is_empty() {
                asked = parts(low, high);
            }
            let headers = self
                .backend
                .together(asked.iter().copied(), |seq| self.header(stream, seq))
                .await?;
            for (seq, header) in asked.drain(..).zip(headers) {
                let header = header.ok_or_else(|| self.gone(stream, seq))?;
                if test(&header) {
                    high = seq;
                    break;
                }
                low = seq + 1;
            }
        }
        Ok(Some(high))
    }
}

/// Up to three numbers that divide `low..high` into about equal parts.
fn parts(low: u64, high: u64) -> Vec<u64> {
    let inside = high - low;
    let count = inside.min(3);
    (1..=count)
        .map(|n| low + n * inside / (count + 1))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_inside_and_differ() {
        assert_eq!(parts(5, 6), [5]);
        assert_eq!(parts(5, 7), [5, 6]);
        assert_eq!(parts(5, 8), [5, 6, 7]);
        assert_eq!(parts(0, 100), [25, 50, 75]);
    }
}
