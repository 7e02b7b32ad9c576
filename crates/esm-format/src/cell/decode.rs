//! Bytes to cells.

use esm_core::id::StreamId;
use esm_core::store::{Cell, CellEvent, CellHeader, CellKind};
use esm_core::{Error, Result};

use super::first_line::FirstLine;
use super::source_runs;
use crate::cloudevent::{Own, decode_own};

/// The shortest line that an event can have; bounds what is allocated before it is read.
const MIN_LINE: u64 = 32;

/// Reads a cell of a stream. A cell of an older version, which does not name its stream, is
/// accepted.
///
/// # Errors
/// `Corrupt`, saying what: no cell, truncated, a wrong checksum, a newer format (which, and up to
/// which is read), a contradiction, or another stream's cell. Never panics, and never allocates more than a small multiple
/// of the cell's own size and of the uncompressed size that its checked first line states.
pub fn decode(bytes: &[u8], stream: &StreamId) -> Result<Cell> {
    let (first, rest) = FirstLine::read_of(bytes, stream)?;
    let body = first.body.unpack(rest)?;
    let expected = match first.cell.kind {
        CellKind::Data { .. } => first.cell.count,
        CellKind::Close(_) | CellKind::Fence(_) | CellKind::Tombstone => 0,
    };
    let capacity = usize::try_from(expected.min(body.len() as u64 / MIN_LINE)).unwrap_or(0);
    let mut events = Vec::with_capacity(capacity);
    let mut sources = source_runs::expand(&first.sources);
    let mut rest = &body[..];
    while let Some(end) = memchr::memchr(b'\n', rest) {
        let decoded = decode_own(&rest[..end], Own::All)
            .map_err(|e| corrupt_event(events.len(), &e.to_string()).with_source(e))?;
        events.push(CellEvent {
            event: decoded.event,
            source_revision: sources.next().flatten(),
        });
        rest = &rest[end + 1..];
    }
    if !rest.is_empty() || events.len() as u64 != expected {
        return Err(Error::corrupt(format!(
            "cell contradicts itself: {} events instead of {expected}",
            events.len()
        )));
    }
    Ok(Cell {
        header: first.cell,
        events,
    })
}

/// Reads a cell's header, from the whole cell or any beginning that holds its first line.
///
/// The first line's checksum is verified; the body is not checked.
///
/// # Errors
/// As [`decode`].
pub fn decode_header(bytes: &[u8], stream: &StreamId) -> Result<CellHeader> {
    FirstLine::read_of(bytes, stream).map(|(first, _)| first.cell)
}

/// As [`decode_header`], whichever stream the cell belongs to.
///
/// # Errors
/// As [`decode_header`], but for another stream's cell.
pub fn decode_header_of_any(bytes: &[u8]) -> Result<CellHeader> {
    FirstLine::read(bytes).map(|(first, _)| first.cell)
}

fn corrupt_event(index: usize, what: &str) -> Error {
    Error::corrupt(format!("cell's event {index} cannot be read: {what}"))
}

/// Reads which stream a cell belongs to; nothing in a cell of an older version, which does not say it.
///
/// # Errors
/// As [`decode_header_of_any`].
pub fn decode_stream(bytes: &[u8]) -> Result<Option<StreamId>> {
    FirstLine::read(bytes).map(|(first, _)| first.stream)
}
