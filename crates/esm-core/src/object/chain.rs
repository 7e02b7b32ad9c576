//! Chains of streams: following Closes, and helping a document that has fallen behind.

use std::collections::HashSet;
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::id::{ObjectId, StreamRef};
use crate::object::{Documents, ObjectDocument};
use crate::store::{CellKind, Close, EventStore, EventStoreExt as _, Stores, Tail, other_place};

/// A stream, followed to the end of its chain.
#[derive(Debug, Clone)]
pub struct ChainEnd {
    /// The Closes on the way, each with the stream that it closed, oldest first.
    pub closes: Vec<(StreamRef, Close)>,
    /// The stream at the end.
    pub stream: StreamRef,
    /// Its tail. Closed only where the object was deleted.
    pub tail: Tail,
}

/// Follows Closes from a stream to the end of its chain, over all known stores. Writes nothing.
///
/// # Errors
/// - `UnknownStore` when a Close names a stream that is not here, or whose first cell does not name
///   the closed one and the migration ([R13](crate::protocol#r13)).
/// - `Corrupt` when a stream is met twice.
pub async fn follow_in(stores: &Stores, from: StreamRef) -> Result<ChainEnd> {
    let mut closes = Vec::new();
    let mut met = HashSet::new();
    let mut stream = from;
    loop {
        let store = stores.of(&stream)?;
        if !met.insert(stream.clone()) {
            return Err(Error::corrupt(format!(
                "chain of closed streams is a circle: {stream}"
            )));
        }
        let tail = store.tail(&stream.stream).await?;
        let Some(close) = tail.close().cloned() else {
            return Ok(ChainEnd {
                closes,
                stream,
                tail,
            });
        };
        let Some(target) = close.target.clone() else {
            return Ok(ChainEnd {
                closes,
                stream,
                tail,
            });
        };
        ensure_continues(stores, &stream, &close, &target).await?;
        closes.push((stream, close));
        stream = target;
    }
}

/// Checks that a target's first cell names the closed stream, without which a Close is not followed
/// ([R13](crate::protocol#r13)). The first cell of a restore's target names the stream that it
/// replaces.
///
/// # Errors
/// `UnknownStore`.
pub(crate) async fn ensure_continues(
    stores: &Stores,
    closed: &StreamRef,
    close: &Close,
    target: &StreamRef,
) -> Result<()> {
    let first = stores.of(target)?.cell(&target.stream, 0).await?;
    match first.map(|cell| cell.header.kind) {
        Some(CellKind::Data {
            origin: Some(origin),
            ..
        }) if origin.source == *closed && origin.migration == close.migration => Ok(()),
        // deleted after it was closed itself; its id alone names source and migration
        Some(CellKind::Tombstone) => Ok(()),
        _ => Err(other_place(target)),
    }
}

/// Loads an object's document and the end of its chain; where the document names a closed stream,
/// makes it name the chain's end and keeps every other field ([R12](crate::protocol#r12)). For
/// appenders and migrators.
///
/// # Errors
/// `NotFound` for an unknown object; `Deleted` for one that was deleted; those of [`follow_in`].
pub async fn help(
    stores: &Stores,
    documents: &Documents,
    object: &ObjectId,
) -> Result<(ObjectDocument, ChainEnd)> {
    let document = documents.load(object).await?.document;
    let end = follow_in(stores, document.active.clone()).await?;
    refuse_deleted(object, &end)?;
    if end.closes.is_empty() {
        return Ok((document, end));
    }
    let document = documents
        .update(object, |document| follow_all(document, &end))
        .await?;
    Ok((document, end))
}

/// Applies all Closes that a document has not followed yet. Returns whether there were any.
pub(crate) fn follow_all(document: &mut ObjectDocument, end: &ChainEnd) -> bool {
    let mut changed = false;
    for (closed, close) in &end.closes {
        changed |= document.follow(closed, close);
    }
    changed
}

/// Refuses a chain that ends in a Close to nothing ([R23](crate::protocol#r23)).
///
/// # Errors
/// `Deleted`.
pub(crate) fn refuse_deleted(object: &ObjectId, end: &ChainEnd) -> Result<()> {
    match end.tail.close() {
        Some(_) => Err(Error::new(
            ErrorKind::Deleted,
            format!("object was deleted: {object}"),
        )),
        None => Ok(()),
    }
}

/// The control cells of a stream up to a tail, newest first: follows the chain that every cell
/// carries, so it costs one read for each control cell and none where there is none
/// ([R4](crate::protocol#r4)).
///
/// # Errors
/// `Corrupt` when the chain is broken.
pub(crate) async fn control_cells(
    store: &Arc<dyn EventStore>,
    stream: &StreamRef,
    tail: &Tail,
) -> Result<Vec<CellKind>> {
    let mut controls = Vec::new();
    let Some(last) = &tail.last else {
        return Ok(controls);
    };
    let mut next = last.control_so_far();
    if next == Some(last.seq) {
        controls.push(last.kind.clone());
        next = last.last_control;
    }
    while let Some(seq) = next {
        let cell = store.cell(&stream.stream, seq).await?;
        let header = cell.map(|c| c.header);
        let Some(header) = header.filter(|h| h.control_so_far() == Some(seq)) else {
            return Err(Error::corrupt(format!(
                "cell {seq} of {stream} is no control cell"
            )));
        };
        controls.push(header.kind);
        next = header.last_control.filter(|earlier| *earlier < seq);
    }
    Ok(controls)
}
