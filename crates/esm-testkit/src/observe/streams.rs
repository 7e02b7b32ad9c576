//! Streams: well-formed, and append-only.

use std::collections::BTreeMap;
use std::sync::Arc;

use esm_core::id::StreamId;
use esm_core::store::{Cell, CellEvent, CellHeader, CellKind, Close, Fence, Origin, Tail};

/// A well-formed stream, as observed once.
#[derive(Debug, Clone)]
pub(super) struct Stream {
    pub(super) id: StreamId,
    pub(super) cells: Vec<Cell>,
}

impl Stream {
    /// # Errors
    /// The malformation, for people.
    fn new(id: StreamId, cells: Vec<Cell>) -> Result<Self, String> {
        let mut tail = Tail::default();
        for cell in &cells {
            let at = format!("{id}, cell {}", tail.next_seq());
            let header = cell.header.clone();
            if tail.close().is_some() {
                return Err(format!("{at}: follows a Close"));
            }
            let wanted = tail.next_header(header.commit, header.count, header.kind.clone());
            if header != wanted {
                return Err(format!("{at}: header is {header:?}, wanted {wanted:?}"));
            }
            let events = cell.events.len() as u64;
            let counted = match &header.kind {
                CellKind::Tombstone => events == 0,
                CellKind::Data { .. } => events == header.count,
                CellKind::Close(close) => {
                    events == 0 && header.count == 0 && close.events == tail.next_revision()
                }
                CellKind::Fence(_) => events == 0 && header.count == 0,
            };
            if !counted {
                return Err(format!(
                    "{at}: counts wrongly: {header:?} with {events} events"
                ));
            }
            tail = Tail::after(header);
        }
        Ok(Self { id, cells })
    }

    pub(super) fn is_absent(&self) -> bool {
        self.cells.is_empty()
    }

    pub(super) fn events(&self) -> impl Iterator<Item = &CellEvent> {
        self.cells.iter().flat_map(|cell| &cell.events)
    }

    pub(super) fn is_buried(&self) -> bool {
        let tombstone = |cell: &Cell| cell.header.kind == CellKind::Tombstone;
        self.cells.iter().any(tombstone)
    }

    pub(super) fn close(&self) -> Option<&Close> {
        match self.cells.last().map(|cell| &cell.header.kind) {
            Some(CellKind::Close(close)) => Some(close),
            _ => None,
        }
    }

    pub(super) fn fences(&self) -> impl Iterator<Item = (&CellHeader, &Fence)> {
        self.cells
            .iter()
            .filter_map(|cell| match &cell.header.kind {
                CellKind::Fence(fence) => Some((&cell.header, fence)),
                _ => None,
            })
    }

    pub(super) fn origin(&self) -> Option<&Origin> {
        match self.cells.first().map(|cell| &cell.header.kind) {
            Some(CellKind::Data { origin, .. }) => origin.as_ref(),
            _ => None,
        }
    }

    /// Returns the streams that this one names.
    pub(super) fn names(&self) -> Vec<StreamId> {
        let close = self.close().and_then(|close| close.target.as_ref());
        let close = close.map(|target| target.stream.clone());
        let fences = self.fences().map(|(_, fence)| fence.target.clone());
        let origin = self.origin().map(|origin| origin.source.stream.clone());
        let restores = self.origin().and_then(|origin| origin.restores.as_ref());
        let originals = restores.map(|restores| restores.originals.stream.clone());
        let named = close.into_iter().chain(fences);
        named.chain(origin).chain(originals).collect()
    }
}

/// All streams of one observation. A stream that did not change since the one before is the same
/// value.
pub(super) type Observed = BTreeMap<StreamId, Arc<Stream>>;

/// All streams as they were observed last.
#[derive(Debug, Default)]
pub(super) struct Streams(Observed);

impl Streams {
    /// Returns a well-formed stream of these cells: the last observation, if it is equal.
    ///
    /// # Errors
    /// The malformation, for people.
    pub(super) fn observe(&self, id: StreamId, cells: Vec<Cell>) -> Result<Arc<Stream>, String> {
        match self.0.get(&id) {
            Some(last) if last.cells == cells => Ok(Arc::clone(last)),
            _ => Ok(Arc::new(Stream::new(id, cells)?)),
        }
    }

    /// Returns whether these streams are those of the last observation.
    pub(super) fn are(&self, now: &Observed) -> bool {
        let same = |(last, now): (&Arc<Stream>, &Arc<Stream>)| Arc::ptr_eq(last, now);
        self.0.len() == now.len() && self.0.values().zip(now.values()).all(same)
    }

    /// Replaces the last observation by this one, if it is a legal successor.
    ///
    /// # Errors
    /// The illegal change, for people.
    pub(super) fn advance(&mut self, now: &Observed) -> Result<(), String> {
        for (id, before) in &self.0 {
            let Some(after) = now.get(id) else { continue };
            if after.is_absent() && !before.is_absent() {
                may_vanish(before, now)?;
            } else if !Arc::ptr_eq(before, after) {
                unchanged(before, after)?;
            }
        }
        self.0.clone_from(now);
        Ok(())
    }
}

/// Only a migration's target that can never be closed to may vanish: no application ever wrote to
/// it (R22), and its source has a Fence of it (R17) or is closed to another (R5).
fn may_vanish(gone: &Stream, now: &Observed) -> Result<(), String> {
    let id = &gone.id;
    let Some(origin) = gone.origin() else {
        return Err(format!(
            "{id} has vanished, and it was no migration's target"
        ));
    };
    if let Some(written) = gone.cells.iter().find(|cell| written_by_application(cell)) {
        let seq = written.header.seq;
        return Err(format!(
            "{id} has vanished with an application's cell {seq}"
        ));
    }
    let closed_to_it = now.values().any(|stream| {
        let target = stream.close().and_then(|close| close.target.as_ref());
        target.is_some_and(|target| target.stream == *id)
    });
    if closed_to_it {
        return Err(format!(
            "I5: {id} has vanished, and a stream is closed to it"
        ));
    }
    let source = now.get(&origin.source.stream);
    let given_up = source.is_some_and(|source| {
        source.close().is_some() || source.fences().any(|(_, fence)| fence.target == *id)
    });
    if given_up {
        Ok(())
    } else {
        Err(format!(
            "R17: {id} has vanished without a Fence in its source"
        ))
    }
}

/// Returns whether an application wrote this cell: it has events, and no cursor.
pub(super) fn written_by_application(cell: &Cell) -> bool {
    match &cell.header.kind {
        CellKind::Data { cursor, .. } => cursor.is_none(),
        CellKind::Close(_) | CellKind::Fence(_) | CellKind::Tombstone => false,
    }
}

/// Checks that cells stay as they are, except a data cell that becomes a tombstone.
fn unchanged(before: &Stream, after: &Stream) -> Result<(), String> {
    let id = &before.id;
    if after.cells.len() < before.cells.len() {
        let (old, new) = (before.cells.len(), after.cells.len());
        return Err(format!("{id} had {old} cells and has {new}"));
    }
    for (old, new) in before.cells.iter().zip(&after.cells) {
        let buried = CellHeader {
            kind: CellKind::Tombstone,
            ..old.header.clone()
        };
        if old != new && new.header != buried {
            return Err(format!("{id}, cell {}: has changed", old.header.seq));
        }
    }
    Ok(())
}
