//! Writes a target, in cells that record their cursor.

use tracing::{Instrument as _, debug_span};

use crate::cutover::Cutover;
use crate::cutover::attempt::Attempt;
use crate::cutover::meter::Stage;
use crate::error::Result;
use crate::event::Revision;
use crate::protocol::plan::cell_events;
use crate::store::{Append, CellEvent, Tail};

/// Consecutive source events without an output before a cell records the cursor.
const CURSOR_EVERY: u64 = 65_536;

/// Collects events into cells and appends each at the exact tail of the target.
#[derive(Debug)]
pub(crate) struct TargetWriter<'a> {
    cutover: &'a Cutover<'a>,
    attempt: &'a Attempt,
    tail: Tail,
    /// The cursor of the target's last cell.
    recorded: Revision,
    /// The cursor including the pending events.
    cursor: Revision,
    pending: Vec<CellEvent>,
    pending_bytes: u64,
    cells: u64,
    /// Most events in a cell, which the limits of the run may lower.
    most: u64,
}

impl<'a> TargetWriter<'a> {
    /// Continues a target with this tail that is complete for `from` source events.
    pub(crate) fn new(
        cutover: &'a Cutover<'a>,
        attempt: &'a Attempt,
        tail: Tail,
        from: Revision,
    ) -> Self {
        Self {
            cutover,
            attempt,
            tail,
            recorded: from,
            cursor: from,
            pending: Vec::new(),
            pending_bytes: 0,
            cells: 0,
            most: u64::MAX,
        }
    }

    /// Chooses cells for a copy of this many source events.
    #[must_use]
    pub(crate) fn for_length(self, events: Revision) -> Self {
        let most = cell_events(u64::MAX, events.0);
        Self { most, ..self }
    }

    /// Returns the last known tail of the target.
    pub(crate) fn tail(&self) -> &Tail {
        &self.tail
    }

    /// Returns the number of source events for which the target's last cell is complete.
    pub(crate) fn recorded(&self) -> Revision {
        self.recorded
    }

    /// As [`recorded`](Self::recorded), including the pending events.
    pub(crate) fn cursor(&self) -> Revision {
        self.cursor
    }

    /// Returns the number of cells written.
    pub(crate) fn cells(&self) -> u64 {
        self.cells
    }

    /// Whether the pending events must be written before this many more are added.
    pub(crate) fn is_full_for(&self, events: usize, bytes: u64) -> bool {
        if self.pending.is_empty() {
            return self.cursor.0 - self.recorded.0 >= CURSOR_EVERY;
        }
        let wanted = self.cutover.supervisor.cell_limits();
        let limits = self.attempt.target_store.limits();
        let most = limits.max_cell_events.min(wanted.events as u64);
        (self.pending.len() + events) as u64 > most.min(self.most)
            || self.pending_bytes + bytes > limits.max_cell_bytes.min(wanted.bytes)
    }

    /// Continues at a later tail, after concurrent appends to the target. No events may be pending.
    pub(crate) fn resume(&mut self, tail: Tail, from: Revision) {
        self.tail = tail;
        (self.recorded, self.cursor) = (from, from);
    }

    /// Adds events, with which the target is complete for `cursor` source events.
    pub(crate) fn add(
        &mut self,
        cursor: Revision,
        events: impl IntoIterator<Item = CellEvent>,
        bytes: u64,
    ) {
        self.pending.extend(events);
        self.pending_bytes += bytes;
        self.cursor = cursor;
    }

    /// Whether a cell is left to write. An empty source gets its first cell too (R2).
    pub(crate) fn is_unfinished(&self) -> bool {
        self.tail.is_empty() || self.cursor > self.recorded
    }

    /// Writes the pending events as one cell. After an error they are no longer pending.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    pub(crate) async fn flush(&mut self) -> Result<()> {
        let cell = self.take();
        self.append(cell).await
    }

    /// Removes the pending events and returns them as the target's next cell.
    pub(crate) fn take(&mut self) -> Append {
        self.pending_bytes = 0;
        Append {
            commit: self.cutover.environment.commit_id(),
            origin: self.tail.is_empty().then(|| self.attempt.origin()),
            cursor: Some(self.cursor),
            events: std::mem::take(&mut self.pending),
        }
    }

    /// Appends a cell from [`take`](Self::take).
    ///
    /// # Errors
    /// `Conflict` after a concurrent append, `Ambiguous`: the caller must then observe the target
    /// again. Those of the store.
    pub(crate) async fn append(&mut self, cell: Append) -> Result<()> {
        let cursor = self.cursor;
        let span = debug_span!("batch", cursor = cursor.0, events = cell.events.len());
        let target = &self.attempt.target.stream;
        let began = self.cutover.meter.now();
        self.tail = self
            .attempt
            .target_store
            .append(target, &self.tail, cell)
            .instrument(span)
            .await?;
        let took = self.cutover.meter.count(Stage::Append, began);
        self.cutover.supervisor.appended(took);
        self.recorded = cursor;
        self.cells += 1;
        Ok(())
    }
}
