//! Chains of streams: following Closes, and helping a document that has fallen behind.

use std::collections::HashSet;
use std::sync::Arc;

use futures::future;
use tracing::warn;

use crate::error::{Error, ErrorKind, Result};
use crate::id::{ObjectId, StreamRef};
use crate::object::{Documents, KnownStream, ObjectDocument, StreamEnd, pages};
use crate::store::{
    CellKind, Close, EventStore, EventStoreExt as _, Origin, Stores, Tail, other_place,
};

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

/// What becomes of a stream that has less than is known of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Damage {
    /// It is an error.
    Refused,
    /// It is followed as far as it goes.
    Accepted,
}

/// Follows Closes from an object's active stream to the end of its chain, over all known stores.
/// Writes nothing.
///
/// # Errors
/// - `Gone` when a stream has less than the document, or the Close that leads to it, says
///   ([R14](crate::protocol#r14)).
/// - `UnknownStore` when a Close leads into a store that is not here, or to a stream whose first
///   cell does not name the closed one and the migration ([R13](crate::protocol#r13)).
/// - `Corrupt` when a stream is met twice.
pub async fn follow_in(stores: &Stores, document: &ObjectDocument) -> Result<ChainEnd> {
    follow_from(stores, document, document.active.clone()).await
}

/// As [`follow_in`], from any stream of the object.
///
/// # Errors
/// As [`follow_in`].
pub async fn follow_from(
    stores: &Stores,
    document: &ObjectDocument,
    from: StreamRef,
) -> Result<ChainEnd> {
    follow(stores, document, from, Damage::Refused).await
}

/// As [`follow_in`], but accepts streams that lost cells: to show them, or to replace them by a
/// backup.
///
/// # Errors
/// As [`follow_in`], except for `Gone`.
pub async fn follow_damaged(stores: &Stores, document: &ObjectDocument) -> Result<ChainEnd> {
    follow(stores, document, document.active.clone(), Damage::Accepted).await
}

async fn follow(
    stores: &Stores,
    document: &ObjectDocument,
    from: StreamRef,
    damage: Damage,
) -> Result<ChainEnd> {
    let mut closes = Vec::new();
    let mut met = HashSet::new();
    let mut known = KnownStream::of(document, &from);
    let mut tail = stores.of(&from)?.tail(&from.stream).await?;
    loop {
        let stream = known.stream().clone();
        let store = stores.of(&stream)?;
        if !met.insert(stream.clone()) {
            return Err(Error::corrupt(format!(
                "chain of closed streams is a circle: {stream}"
            )));
        }
        if damage == Damage::Refused {
            known.check(&**store, (&tail).into())?;
        }
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
        known = KnownStream::of(document, &target).continuing(&close);
        let (continues, next) = step(stores, &stream, &close, &known).await?;
        match continues {
            Err(e) if damage == Damage::Accepted && *e.kind() == ErrorKind::Gone => {}
            continues => drop(continues?),
        }
        tail = next?;
        closes.push((stream, close));
    }
}

/// Reads the first cell of a target and its end at the same time; the end counts only if the first cell
/// is as it must be.
///
/// # Errors
/// `UnknownStore`. What was read fails as [`ensure_continues`] and [`EventStore::tail`] do.
pub(crate) async fn step(
    stores: &Stores,
    closed: &StreamRef,
    close: &Close,
    target: &KnownStream,
) -> Result<(Result<Option<Origin>>, Result<Tail>)> {
    let stream = target.stream();
    let store = stores.of(stream)?;
    if let Some(last) = &close.target_last {
        store.expect_cell(&stream.stream, last.seq);
    }
    let continues = ensure_continues(stores, closed, close, target);
    Ok(future::join(continues, store.tail(&stream.stream)).await)
}

/// Checks that a target's first cell names the closed stream, without which a Close is not followed
/// ([R13](crate::protocol#r13)), and returns what it says. The first cell of a restore's target names
/// the stream that it replaces.
///
/// # Errors
/// `Gone` when the target has no cell; `UnknownStore`.
pub(crate) async fn ensure_continues(
    stores: &Stores,
    closed: &StreamRef,
    close: &Close,
    target: &KnownStream,
) -> Result<Option<Origin>> {
    let store = stores.of(target.stream())?;
    let first = store.cell(&target.stream().stream, 0).await?;
    let Some(first) = first.map(|cell| cell.header) else {
        return target.check(&**store, StreamEnd::default()).map(|()| None);
    };
    match &first.kind {
        CellKind::Data {
            origin: Some(origin),
            ..
        } if origin.source == *closed && origin.migration == close.migration => {
            Ok(Some(origin.clone()))
        }
        // deleted after it was closed itself; its id alone names source and migration
        CellKind::Tombstone => Ok(None),
        // a target begins with data (R2): a restore has closed what was left of a lost one
        CellKind::Close(_) => target
            .check(&**store, StreamEnd::after(&first))
            .and_then(|()| Err(other_place(target.stream()))),
        CellKind::Data { .. } | CellKind::Fence(_) => Err(other_place(target.stream())),
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
    let end = follow_in(stores, &document).await?;
    refuse_deleted(object, &end)?;
    if end.closes.is_empty() {
        return Ok((document, end));
    }
    let document = documents
        .update(object, |document| follow_all(document, &end))
        .await?;
    Ok((document, end))
}

/// As [`Documents::reaching`]. Where a version that has earlier streams is damaged or absent, adds them
/// from the Closes instead, which the document is derived from.
///
/// Entries from Closes lack what only a document has: fingerprint, archive, user metadata and pins. So
/// they identify streams and migrations, and are not to be written.
///
/// # Errors
/// Those of [`Documents::reaching`], if the Closes do not lead to the listed streams either.
pub(crate) async fn reaching(
    stores: &Stores,
    documents: &Documents,
    document: ObjectDocument,
    enough: impl Fn(&ObjectDocument) -> bool + Send,
) -> Result<ObjectDocument> {
    let damage = match documents.reaching(document.clone(), enough).await {
        Err(error) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Gone) => error,
        reached => return reached,
    };
    let first = document.first_stream().clone();
    // newer streams may have lost cells: only those up to the listed ones matter
    let followed = match follow(stores, &document, first, Damage::Accepted).await {
        Ok(end) => pages::add_closed(document, &end.closes),
        Err(error) => {
            warn!(%error, "the Closes do not lead to the listed streams");
            None
        }
    };
    match followed {
        Some(document) => {
            warn!(object = %document.object, error = %damage, "earlier streams are read from Closes");
            Ok(document)
        }
        None => Err(damage),
    }
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
