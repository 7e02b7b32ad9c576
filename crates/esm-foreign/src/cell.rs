//! Cells as native entries, and back.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::mark::{Mark, MarkedCell};
use crate::native::{Entry, Recorded};
use crate::place::{Place, native_commit};
use esm_core::event::Event;
use esm_core::id::{CommitId, EventId, EventType, StreamId};
use esm_core::store::{Cell, CellEvent, CellHeader, CellKind};
use esm_core::{Error, Result};

/// The event type of a native entry that is a data cell without events: applications skip it.
pub const CELL: &str = "esm.Cell";

/// The event type of a native entry that is a Close. Its payload is the
/// [`Close`](esm_core::store::Close) as JSON, which names the stream that continues.
pub const CLOSE: &str = "esm.Close";

/// The event type of a native entry that is a Fence: applications skip it.
pub const FENCE: &str = "esm.Fence";

/// A cell as native entries: one for each event, or one for a cell without.
pub(super) fn encode(header: &CellHeader, events: Vec<CellEvent>) -> Result<Vec<Entry>> {
    if events.is_empty() {
        return Ok(vec![Entry {
            mark: Some(Mark::new(header.commit, 0, None, Some(marked(header))).encode()?),
            event: control_event(header)?,
        }]);
    }
    let entry = |(
        index,
        CellEvent {
            event,
            source_revision,
        },
    )| {
        let cell = (index == 0).then(|| marked(header));
        let mark = Mark::new(header.commit, index, source_revision, cell).encode()?;
        Ok(Entry {
            event,
            mark: Some(mark),
        })
    };
    (0..).zip(events).map(entry).collect()
}

fn marked(header: &CellHeader) -> MarkedCell {
    let (cursor, origin) = match &header.kind {
        CellKind::Data { origin, cursor } => (*cursor, origin.clone()),
        _ => (None, None),
    };
    MarkedCell {
        seq: header.seq,
        revision: header.first_revision,
        count: header.count,
        previous: header.previous,
        last_control: header.last_control,
        cursor,
        origin,
    }
}

/// The event of an entry that no application wrote.
fn control_event(header: &CellHeader) -> Result<Event> {
    let (event_type, payload) = match &header.kind {
        CellKind::Close(close) => (CLOSE, json(close)?),
        CellKind::Fence(fence) => (FENCE, json(fence)?),
        CellKind::Data { .. } | CellKind::Tombstone => (CELL, Bytes::from_static(b"{}")),
    };
    let id = EventId::new(header.commit.to_string())?;
    Ok(Event::new(id, EventType::new(event_type)?, payload))
}

fn json(value: &impl Serialize) -> Result<Bytes> {
    let bytes = serde_json::to_vec(value)
        .map_err(|e| Error::invalid("a control entry cannot be written as JSON").with_source(e))?;
    Ok(bytes.into())
}

fn from_json<T: DeserializeOwned>(event: &Event) -> Result<T> {
    serde_json::from_slice(&event.payload).map_err(|e| {
        let what = &event.event_type;
        Error::corrupt(format!("an entry of type {what} cannot be read")).with_source(e)
    })
}

/// The header that a mark's cell has with its first entry.
pub(super) fn header(commit: CommitId, cell: MarkedCell, event: &Event) -> Result<CellHeader> {
    let kind = match (cell.count, event.event_type.as_str()) {
        (0, CLOSE) => CellKind::Close(from_json(event)?),
        (0, FENCE) => CellKind::Fence(from_json(event)?),
        _ => CellKind::Data {
            origin: cell.origin,
            cursor: cell.cursor,
        },
    };
    Ok(CellHeader {
        seq: cell.seq,
        first_revision: cell.revision,
        count: cell.count,
        commit,
        previous: cell.previous,
        last_control: cell.last_control,
        kind,
    })
}

/// Puts cells together from entries that come in order.
#[derive(Debug)]
pub(super) struct Assembler<'a> {
    stream: &'a StreamId,
    /// Where the next cell begins.
    pub(super) place: Place,
    /// A cell that still lacks entries.
    open: Option<Cell>,
}

impl<'a> Assembler<'a> {
    pub(super) fn at(stream: &'a StreamId, place: Place) -> Self {
        Self {
            stream,
            place,
            open: None,
        }
    }

    /// Number of entries that the open cell lacks.
    pub(super) fn missing(&self) -> u64 {
        let open = self.open.as_ref();
        open.map_or(0, |cell| cell.header.count - cell.events.len() as u64)
    }

    /// The position of the next entry.
    pub(super) fn position(&self) -> u64 {
        let open = self.open.as_ref().map_or(0, |cell| cell.events.len());
        self.place.position + open as u64
    }

    /// Takes the next entry; returns the cell that it completes, if it does.
    ///
    /// # Errors
    /// `Corrupt` for entries that do not follow each other.
    pub(super) fn push(&mut self, recorded: Recorded) -> Result<Option<Cell>> {
        let position = recorded.position;
        self.try_push(recorded)
            .map_err(|e| e.context(format!("entry {position} of {}", self.stream)))
    }

    fn try_push(&mut self, Recorded { position, entry }: Recorded) -> Result<Option<Cell>> {
        if position != self.position() {
            let message = format!("expected entry {}: entries are missing", self.position());
            return Err(Error::corrupt(message));
        }
        let mark = entry.mark.as_deref().map(Mark::decode).transpose()?;
        let mut cell = match (self.open.take(), mark) {
            (None, None) => {
                let event = &entry.event;
                let commit = native_commit(self.stream, position, event.id.as_str());
                let events = vec![CellEvent::from(entry.event)];
                let header = self.place.native_header(commit);
                Cell { header, events }
            }
            (None, Some(mark)) => self.begin(mark, entry.event)?,
            (Some(cell), Some(mark)) => extend(cell, mark, entry.event)?,
            (Some(_), None) => {
                return Err(Error::corrupt("it is between the entries of a cell"));
            }
        };
        if cell.header.count > cell.events.len() as u64 {
            self.open = Some(cell);
            return Ok(None);
        }
        self.place = Place::after(self.place.position, &cell.header);
        if cell.header.count == 0 {
            cell.events.clear();
        }
        Ok(Some(cell))
    }

    fn begin(&self, mark: Mark, event: Event) -> Result<Cell> {
        let Some(cell) = mark.cell.filter(|_| mark.index == 0) else {
            return Err(Error::corrupt("it does not begin a cell"));
        };
        let header = header(mark.commit, cell, &event)?;
        if !self.place.precedes(&header) {
            return Err(Error::corrupt(format!(
                "its mark names cell {} at revision {}, expected cell {} at revision {}",
                header.seq, header.first_revision, self.place.seq, self.place.revision
            ))
            .with_hint("no writer may copy the mark of another entry"));
        }
        let source_revision = mark.source;
        Ok(Cell {
            header,
            events: vec![CellEvent {
                event,
                source_revision,
            }],
        })
    }
}

fn extend(mut cell: Cell, mark: Mark, event: Event) -> Result<Cell> {
    let next = cell.events.len() as u64;
    if mark.commit != cell.header.commit || mark.index != next {
        return Err(Error::corrupt("it is between the entries of a cell"));
    }
    cell.events.push(CellEvent {
        event,
        source_revision: mark.source,
    });
    Ok(cell)
}

/// Whether an entry belongs to the cell with this commit id.
pub(super) fn is_of(entry: &Entry, commit: CommitId) -> Result<bool> {
    let mark = entry.mark.as_deref().map(Mark::decode).transpose()?;
    Ok(mark.is_some_and(|mark| mark.commit == commit))
}
