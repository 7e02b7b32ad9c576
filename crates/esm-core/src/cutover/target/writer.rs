//! Writing a target, in cells that carry their cursor.

use tracing::{Instrument as _, debug_span};

use crate::cutover::Cutover;
use crate::cutover::attempt::Attempt;
use crate::cutover::meter::Stage;
use crate::error::Result;
use crate::event::Revision;
use crate::store::{Append, CellEvent, Tail};

/// Source events without an output in a row before a cell records them.
const CURSOR_EVERY: u64 = 65_536;

/// Collects events into cells and appends each at the exact tail of the target.
#[derive(Debug)]
pub(crate) struct TargetWriter<'a> {
    cutover: &'a Cutover<'a>,
    attempt: &'a Attempt,
    tail: Tail,
    /// The cursor of the target's last cell.
    recorded: Revision,
    /// What the target is complete for with what is pending.
    cursor: Revision,
    pending: Vec<CellEvent>,
    pending_bytes: u64,
    cells: u64,
}

impl<'a> TargetWriter<'a> {
    /// Continues a target that ends there and is complete for this many source events.
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
        }
    }

    /// The target's last tail that is known.
    pub(crate) fn tail(&self) -> &Tail {
        &self.tail
    }

    /// Number of source events that the target's last cell is complete for.
    pub(crate) fn recorded(&self) -> Revision {
        self.recorded
    }

    /// As [`recorded`](Self::recorded), with what is pending.
    pub(crate) fn cursor(&self) -> Revision {
        self.cursor
    }

    /// Number of cells written.
    pub(crate) fn cells(&self) -> u64 {
        self.cells
    }

    /// Whether what is pending must be written before so many more events are added.
    pub(crate) fn is_full_for(&self, events: usize, bytes: u64) -> bool {
        if self.pending.is_empty() {
            return self.cursor.0 - self.recorded.0 >= CURSOR_EVERY;
        }
        let wanted = self.cutover.supervisor.cell_limits();
        let limits = self.attempt.target_store.limits();
        (self.pending.len() + events) as u64 > limits.max_cell_events.min(wanted.events as u64)
            || self.pending_bytes + bytes > limits.max_cell_bytes.min(wanted.bytes)
    }

    /// Continues from another end of the target, which others have written meanwhile. Nothing may be
    /// pending.
    pub(crate) fn resume(&mut self, tail: Tail, from: Revision) {
        self.tail = tail;
        (self.recorded, self.cursor) = (from, from);
    }

    /// Adds events. With them the target is complete for this many source events.
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

    /// Whether a cell is left to write. The first cell is written also for an empty source (R2).
    pub(crate) fn is_unfinished(&self) -> bool {
        self.tail.is_empty() || self.cursor > self.recorded
    }

    /// Writes what is pending as one cell. After an error it is no longer pending.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    pub(crate) async fn flush(&mut self) -> Result<()> {
        let cell = self.take();
        self.append(cell).await
    }

    /// Takes what is pending out, as the target's next cell.
    pub(crate) fn take(&mut self) -> Append {
        self.pending_bytes = 0;
        Append {
            commit: self.cutover.environment.commit_id(),
            origin: self.tail.is_empty().then(|| self.attempt.origin()),
            cursor: Some(self.cursor),
            events: std::mem::take(&mut self.pending),
        }
    }

    /// Appends the cell that was taken out.
    ///
    /// # Errors
    /// `Conflict` when the target has moved on, `Ambiguous`: after either the target must be looked
    /// at again. Those of the store.
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
