//! Cells to bytes.

use bytes::Bytes;
use esm_core::id::StreamId;
use esm_core::store::{Cell, CellEvent, CellKind, StoreLimits};
use esm_core::{Error, ErrorKind, Result};

use super::first_line::FirstLine;
use super::{MAX_BODY_BYTES, body, source_runs};
use crate::cloudevent::{self, Attributes};

/// Writes a cell of a stream, which it names.
///
/// # Guarantees
/// 1. [`decode`](super::decode) gives back an equal cell, for this stream only.
/// 2. Equal cells of one stream give equal bytes.
///
/// # Errors
/// `Invalid` for a cell that contradicts itself, such as one whose header counts other events than
/// it has; `TooLarge` over [`MAX_BODY_BYTES`](super::MAX_BODY_BYTES).
pub fn encode(cell: &Cell, stream: &StreamId) -> Result<Bytes> {
    let mut limits = StoreLimits::default().with_max_event_bytes(MAX_BODY_BYTES);
    limits.max_cell_bytes = MAX_BODY_BYTES;
    limits.max_cell_events = u64::MAX;
    encode_within(cell, stream, &limits)
}

/// Writes a cell of a stream, as a store with these limits accepts it.
///
/// # Errors
/// As [`encode`]; `TooLarge`, naming the event or the limit.
pub fn encode_within(cell: &Cell, stream: &StreamId, limits: &StoreLimits) -> Result<Bytes> {
    check_count(cell, limits)?;
    let mut lines = Vec::new();
    for (index, event) in cell.events.iter().enumerate() {
        let begin = lines.len();
        line(event, &mut lines);
        let size = (lines.len() - begin) as u64;
        if size > limits.max_event_bytes {
            let revision = cell.header.first_revision.0.saturating_add(index as u64);
            return Err(too_large(format!(
                "event has {size} bytes as a line, and at most {} are accepted: {} at revision {revision}",
                limits.max_event_bytes, event.event.id
            )));
        }
        if lines.len() as u64 > limits.max_cell_bytes {
            return Err(too_large(format!(
                "cell of {} events has more than {} bytes",
                cell.header.count, limits.max_cell_bytes
            )));
        }
    }
    let (info, stored) = body::pack(&lines)?;
    let first = FirstLine::new(
        cell.header.clone(),
        stream,
        source_runs::compress(&cell.events),
        info,
    );
    if let Some(what) = first.contradiction() {
        return Err(Error::invalid(format!("cell contradicts itself: {what}")));
    }
    let mut out = Vec::with_capacity(512 + stored.len());
    first.write(&mut out);
    out.extend_from_slice(&stored);
    Ok(out.into())
}

/// Size of these events in a cell, uncompressed, in bytes: each as a line with its end. This is
/// what [`StoreLimits::max_cell_bytes`] bounds, and of one event
/// [`StoreLimits::max_event_bytes`].
pub fn uncompressed_size(events: &[CellEvent]) -> u64 {
    let size = |e: &CellEvent| cloudevent::encoded_len(&e.event, &Attributes::default()) + 1;
    events.iter().map(size).sum()
}

fn line(event: &CellEvent, out: &mut Vec<u8>) {
    cloudevent::encode(&event.event, &Attributes::default(), out);
    out.push(b'\n');
}

fn check_count(cell: &Cell, limits: &StoreLimits) -> Result<()> {
    let (counted, found) = (cell.header.count, cell.events.len() as u64);
    let expected = match cell.header.kind {
        CellKind::Data { .. } => counted,
        CellKind::Close(_) | CellKind::Fence(_) | CellKind::Tombstone => 0,
    };
    if found != expected {
        return Err(Error::invalid(format!(
            "cell contradicts itself: {found} events instead of {expected}"
        )));
    }
    if found > limits.max_cell_events {
        return Err(too_large(format!(
            "cell has {found} events, and at most {} are accepted",
            limits.max_cell_events
        )));
    }
    Ok(())
}

fn too_large(message: String) -> Error {
    Error::new(ErrorKind::TooLarge, message)
}
