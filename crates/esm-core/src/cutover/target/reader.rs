//! Reads a target back.

use std::collections::VecDeque;

use crate::cutover::attempt::Attempt;
use crate::cutover::source::cells::CellScan;
use crate::error::Result;
use crate::event::Revision;
use crate::store::{CellEvent, ReadFrom};

/// Reads the target's events one by one.
pub(crate) struct TargetReader {
    cells: CellScan,
    /// The first revision; earlier events of its cell are omitted.
    first: Revision,
    waiting: VecDeque<(Revision, CellEvent)>,
}

impl TargetReader {
    pub(crate) fn start(attempt: &Attempt, from: ReadFrom) -> Self {
        let first = match from {
            ReadFrom::Revision(revision) => revision,
            ReadFrom::Seq(_) => Revision::START,
        };
        Self {
            cells: CellScan::start(&attempt.target_store, &attempt.target, from),
            first,
            waiting: VecDeque::new(),
        }
    }

    /// Returns the next event and its revision; `None` at the end.
    ///
    /// # Errors
    /// Those of the store.
    pub(crate) async fn next(&mut self) -> Result<Option<(Revision, CellEvent)>> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return Ok(Some(event));
            }
            let Some(page) = self.cells.next().await? else {
                return Ok(None);
            };
            for cell in page.cells {
                let first = cell.header.first_revision;
                let events = cell.events.into_iter().enumerate();
                self.waiting.extend(
                    events
                        .map(|(index, event)| (first.plus(index as u64), event))
                        .filter(|(revision, _)| *revision >= self.first),
                );
            }
        }
    }
}
