//! Streams of numbered cells, as `esm_core::store::EventStore` guarantees them.

use super::{Event, Held};

/// A stream's number in the world.
pub type Slot = u8;

/// One atomic write.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cell {
    /// Events.
    Data(Data),
    /// The stream continues elsewhere.
    Close(Close),
    /// This target can never be closed to.
    Fence {
        /// The target.
        target: Slot,
        /// The migration whose attempt it was.
        migration: u8,
    },
    /// Events that were deleted on purpose.
    Tombstone {
        /// How many.
        events: u8,
        /// Of an application's cell: the append that it was, according to its commit id.
        append: Option<u8>,
    },
}

impl Cell {
    /// The application's append that it is, according to its commit id.
    pub fn append(&self) -> Option<u8> {
        match self {
            Self::Data(data) if data.cursor.is_none() => Some(data.events.first()?.root),
            Self::Tombstone { append, .. } => *append,
            _ => None,
        }
    }
}

/// A data cell.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Data {
    /// Its events. Of a copied cell: the outputs of the source event before the cursor.
    pub events: Vec<Event>,
    /// Number of source events that the stream is complete for.
    pub cursor: Option<u8>,
    /// The state of the fold at the cursor.
    pub held: Held,
    /// Whether its event is what the fold held at the cursor, if the source has no more.
    pub flushed: bool,
    /// Where the stream comes from, in a target's first cell.
    pub origin: Option<Origin>,
}

/// Where a target comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    /// The source.
    pub source: Slot,
    /// The migration.
    pub migration: u8,
    /// Which of its attempts.
    pub attempt: u8,
    /// Whether the schemas that were found retired while copying are named.
    pub findings: bool,
}

/// The last cell of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Close {
    /// The stream in which it continues.
    pub target: Slot,
    /// N.
    pub events: u8,
    /// M.
    pub target_events: u8,
    /// The migration that closed it.
    pub migration: u8,
    /// Whether (S, N) is (T, M).
    pub continues: bool,
    /// The target's last cell: where a search for its end begins.
    pub target_last: u8,
}

/// A stream: cells under their numbers. A number is free only where no cell was written yet, or
/// where the stream was discarded.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stream {
    cells: Vec<Option<Cell>>,
}

impl Stream {
    /// A stream with these cells.
    pub fn of(cells: impl IntoIterator<Item = Cell>) -> Self {
        Self {
            cells: cells.into_iter().map(Some).collect(),
        }
    }

    /// Creates the cell with this number, if there is none.
    pub fn put(&mut self, seq: u8, cell: Cell) -> bool {
        let seq = usize::from(seq);
        if seq >= self.cells.len() {
            self.cells.resize(seq + 1, None);
        }
        let free = self.cells[seq].is_none();
        if free {
            self.cells[seq] = Some(cell);
        }
        free
    }

    /// The cells from the first on, up to a number that is free.
    pub fn cells(&self) -> impl DoubleEndedIterator<Item = &Cell> + Clone {
        let end = self.cells.iter().position(Option::is_none);
        self.cells[..end.unwrap_or(self.cells.len())]
            .iter()
            .flatten()
    }

    /// The cell with this number.
    pub fn cell(&self, seq: u8) -> Option<&Cell> {
        self.cells.get(usize::from(seq))?.as_ref()
    }

    /// The number of the next cell.
    pub fn next_seq(&self) -> u8 {
        self.cells().count() as u8
    }

    /// Whether a cell follows a free number: somebody wrote into a discarded stream.
    pub fn has_gap(&self) -> bool {
        self.cells().count() < self.cells.len()
    }

    /// The events.
    pub fn events(&self) -> impl Iterator<Item = Event> + '_ {
        self.cells()
            .flat_map(|cell| match cell {
                Cell::Data(data) => data.events.as_slice(),
                _ => &[],
            })
            .copied()
    }

    /// Number of events, deleted ones included.
    pub fn next_revision(&self) -> u8 {
        let count = |cell: &Cell| match cell {
            Cell::Data(data) => data.events.len() as u8,
            Cell::Tombstone { events, .. } => *events,
            _ => 0,
        };
        self.cells().map(count).sum()
    }

    /// The Close, if the stream is closed.
    pub fn close(&self) -> Option<Close> {
        match self.cells().next_back() {
            Some(Cell::Close(close)) => Some(*close),
            _ => None,
        }
    }

    /// What the first cell says of where the stream comes from.
    pub fn origin(&self) -> Option<Origin> {
        match self.cells().next() {
            Some(Cell::Data(data)) => data.origin,
            _ => None,
        }
    }

    /// The cursor in the last cell.
    pub fn cursor(&self) -> Option<u8> {
        match self.cells().next_back() {
            Some(Cell::Data(data)) => data.cursor,
            _ => None,
        }
    }

    /// Whether the last cell is flushed.
    pub fn is_flushed(&self) -> bool {
        match self.cells().next_back() {
            Some(Cell::Data(data)) => data.flushed,
            _ => false,
        }
    }

    /// The state of the fold in the last cell.
    pub fn held(&self) -> Held {
        match self.cells().next_back() {
            Some(Cell::Data(data)) => data.held,
            _ => None,
        }
    }

    /// Whether some of its events were deleted.
    pub fn is_deleted(&self) -> bool {
        self.cells()
            .any(|cell| matches!(cell, Cell::Tombstone { .. }))
    }

    /// Replaces each cell; `None` frees its number.
    pub fn map(&mut self, change: impl Fn(&Cell) -> Option<Cell>) {
        for cell in &mut self.cells {
            *cell = cell.as_ref().and_then(&change);
        }
        while self.cells.last().is_some_and(Option::is_none) {
            self.cells.pop();
        }
    }
}
