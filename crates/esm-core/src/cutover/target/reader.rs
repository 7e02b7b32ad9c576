//! Reads a target back.

use std::collections::VecDeque;

use tokio::sync::watch;

use crate::cutover::attempt::Attempt;
use crate::cutover::source::cells::{CellScan, Pass, Written};
use crate::error::Result;
use crate::event::Revision;
use crate::store::{CellEvent, ReadFrom};

/// Reads the target's events one by one.
pub(crate) struct TargetReader {
    cells: CellScan,
    /// The first revision; earlier events of its cell are omitted.
    first: Revision,
    waiting: VecDeque<(Revision, CellEvent)>,
    /// The cell of the next event.
    seq: u64,
}

impl TargetReader {
    pub(crate) fn start(attempt: &Attempt, from: ReadFrom) -> Self {
        let first = match from {
            ReadFrom::Revision(revision) => revision,
            ReadFrom::Seq(_) => Revision::START,
        };
        Self::begin(attempt, from, first, None)
    }

    /// Starts at a cell, and omits its events before this revision. Reads what was written, if that is
    /// given, and waits for more until the writer ends.
    pub(crate) fn start_in(
        attempt: &Attempt,
        seq: u64,
        first: Revision,
        written: Option<watch::Receiver<Written>>,
    ) -> Self {
        Self::begin(attempt, ReadFrom::Seq(seq), first, written)
    }

    fn begin(
        attempt: &Attempt,
        from: ReadFrom,
        first: Revision,
        written: Option<watch::Receiver<Written>>,
    ) -> Self {
        let pass = Pass {
            written,
            ..Pass::default()
        };
        let seq = match from {
            ReadFrom::Seq(seq) => seq,
            ReadFrom::Revision(_) => 0,
        };
        Self {
            cells: CellScan::begin(&attempt.target_store, &attempt.target, from, pass),
            first,
            waiting: VecDeque::new(),
            seq,
        }
    }

    /// Returns the cell of the next event.
    pub(crate) fn seq(&self) -> u64 {
        self.seq
    }

    /// Returns the next event and its revision; `None` at the end.
    ///
    /// # Errors
    /// Those of the store.
    pub(crate) async fn next(&mut self) -> Result<Option<(Revision, CellEvent)>> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                self.seq += u64::from(self.waiting.is_empty());
                return Ok(Some(event));
            }
            let Some(cell) = self.cells.next_cell().await? else {
                return Ok(None);
            };
            self.seq = cell.header.seq;
            let first = cell.header.first_revision;
            let events = cell.events.into_iter().enumerate();
            self.waiting.extend(
                events
                    .map(|(index, event)| (first.plus(index as u64), event))
                    .filter(|(revision, _)| *revision >= self.first),
            );
            self.seq += u64::from(self.waiting.is_empty());
        }
    }
}
