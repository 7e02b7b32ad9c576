//! A stream by itself: its cells, and how it ends.

use std::sync::Arc;

use crate::cutover::source::cells::CellScan;
use crate::doctor::service::Depth;
use crate::error::{Error, Result};
use crate::id::StreamRef;
use crate::object::{StreamEnd, chain};
use crate::store::{CellHeader, CellKind, Close, EventStore, Fence, ReadFrom};

/// What a stream was found to be.
#[derive(Debug, Default)]
pub(in crate::doctor) struct Seen {
    /// Where it ends.
    pub(in crate::doctor) end: StreamEnd,
    /// Its Close.
    pub(in crate::doctor) close: Option<Close>,
    /// Its Fences.
    pub(in crate::doctor) fences: Vec<Fence>,
}

impl Seen {
    fn add(&mut self, header: &CellHeader) {
        self.end = StreamEnd::after(header);
        self.add_control(header.kind.clone());
    }

    fn add_control(&mut self, kind: CellKind) {
        match kind {
            CellKind::Close(close) => self.close = Some(close),
            CellKind::Fence(fence) => self.fences.push(fence),
            CellKind::Data { .. } | CellKind::Tombstone => {}
        }
    }

    fn check(self) -> Result<Self> {
        match &self.close {
            Some(close) if close.events != self.end.events => Err(Error::corrupt(format!(
                "Close counts {} events, the stream has {}",
                close.events, self.end.events
            ))),
            _ => Ok(self),
        }
    }
}

/// Reads a stream: its end and its control cells, or all of its cells.
///
/// # Errors
/// [Damage](is_damage); those of the store.
pub(in crate::doctor) async fn look(
    store: &Arc<dyn EventStore>,
    stream: &StreamRef,
    depth: Depth,
) -> Result<Seen> {
    let mut seen = Seen::default();
    if depth == Depth::Quick {
        let tail = store.tail(&stream.stream).await?;
        seen.end = (&tail).into();
        for control in chain::control_cells(store, stream, &tail).await? {
            seen.add_control(control);
        }
        return seen.check();
    }
    let mut cells = CellScan::start(store, stream, ReadFrom::Seq(0));
    while let Some(page) = cells.next().await? {
        page.cells.iter().for_each(|cell| seen.add(&cell.header));
    }
    seen.check()
}
