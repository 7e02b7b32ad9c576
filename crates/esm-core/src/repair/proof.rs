//! What must be true of a target and its source before the target is removed.

use std::sync::Arc;

use crate::cutover::source::cells::CellScan;
use crate::error::Result;
use crate::event::Revision;
use crate::id::{ObjectId, StreamId, StreamName, StreamRef};
use crate::object::{Documents, ObjectDocument, StreamEnd, chain, owner};
use crate::store::{
    CellKind, EventStore, EventStoreExt as _, Origin, ReadFrom, Stores, Tail, TerminatedStream,
};

/// What a whole stream is found to be.
#[derive(Debug)]
pub(super) enum Content {
    /// A target that only copiers wrote to.
    Copied(Box<Copied>),
    /// It has no first cell.
    Absent,
    /// It is something else, or may be; in words.
    Other(String),
}

/// A target that only copiers wrote to.
#[derive(Debug)]
pub(super) struct Copied {
    /// Where it comes from.
    pub(super) origin: Origin,
    /// The events of its source that it is complete for.
    pub(super) cursor: Revision,
    /// The events that it has.
    pub(super) events: Revision,
}

/// What the source of a target says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    /// It was closed to the target.
    ClosedToIt,
    /// It has a Fence of the target, so nobody closes it to that any more.
    Fenced,
    /// It was closed elsewhere.
    Superseded,
    /// It is open to a Close.
    Open,
}

/// Reads a whole stream.
///
/// # Errors
/// Those of the store, except for damage.
pub(super) async fn content(store: &Arc<dyn EventStore>, stream: &StreamRef) -> Result<Content> {
    if is_absent(store, stream, 0).await? {
        return Ok(Content::Absent);
    }
    let (mut origin, mut cursor, mut events) = (None, Revision::START, Revision::START);
    let mut cells = CellScan::start(store, stream, ReadFrom::Seq(0));
    loop {
        let page = match cells.next().await {
            Ok(Some(page)) => page,
            Ok(None) => break,
            Err(error) if error.is_damage() => {
                return Ok(Content::Other(format!("it cannot be read: {error}")));
            }
            Err(error) => return Err(error),
        };
        for cell in page.cells {
            if cell.header.seq == 0 {
                origin = cell.header.origin().cloned();
            }
            // an application writes no cursor, and a migration closes or fences a stream in use
            let Some(copied) = cell.header.cursor() else {
                let seq = cell.header.seq;
                return Ok(Content::Other(format!("no migration wrote its cell {seq}")));
            };
            (cursor, events) = (copied, cell.header.next_revision());
        }
    }
    let Some(origin) = origin else {
        return Ok(Content::Other("it is no migration's target".to_owned()));
    };
    if !has_id_of(&stream.stream, &origin) {
        let why = "its first cell is that of another stream".to_owned();
        return Ok(Content::Other(why));
    }
    Ok(Content::Copied(Box::new(Copied {
        origin,
        cursor,
        events,
    })))
}

/// Whether a stream without its first cell has lost the cell that was seen of it too. Streams are removed
/// from the last cell to the first.
///
/// # Errors
/// Those of the store, except for damage.
pub(super) async fn is_gone(
    store: &Arc<dyn EventStore>,
    stream: &StreamRef,
    seen: Option<u64>,
) -> Result<bool> {
    match seen {
        Some(seen) => is_absent(store, stream, seen).await,
        None => Ok(false),
    }
}

async fn is_absent(store: &Arc<dyn EventStore>, stream: &StreamRef, seq: u64) -> Result<bool> {
    match store.cell(&stream.stream, seq).await {
        Ok(cell) => Ok(cell.is_none()),
        // it is there
        Err(error) if error.is_damage() => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether a target's id is the one of this attempt: no other source is ever closed to it.
fn has_id_of(target: &StreamId, origin: &Origin) -> bool {
    let Some((name, _)) = target.as_str().rsplit_once('.') else {
        return false;
    };
    let Ok(name) = StreamName::new(name) else {
        return false;
    };
    let expected = StreamId::target(&name, origin.migration, &origin.source, origin.attempt);
    expected == *target
}

/// What was asked for, or in words why nothing is to be removed.
pub(super) type OrKept<T> = std::result::Result<T, String>;

/// The document of an object, if it does not name a stream.
///
/// # Errors
/// Those of the records, except for damage.
pub(super) async fn document_without(
    documents: &Documents,
    object: &ObjectId,
    stream: &StreamId,
) -> Result<OrKept<ObjectDocument>> {
    let found = async {
        let Some(found) = documents.find(object).await? else {
            return Ok(None);
        };
        documents.whole(found.document).await.map(Some)
    };
    let document = match found.await {
        Ok(Some(document)) => document,
        Ok(None) => return Ok(Err(format!("the document of {object} is missing"))),
        Err(error) if error.is_damage() => {
            return Ok(Err(format!(
                "the document of {object} cannot be read: {error}"
            )));
        }
        Err(error) => return Err(error),
    };
    let is_closed = |entry: &TerminatedStream| {
        entry.stream.stream == *stream || entry.continuation.stream == *stream
    };
    let is_named = document.active.stream == *stream || document.terminated.iter().any(is_closed);
    Ok(if is_named {
        Err(format!("the document of {object} names it"))
    } else {
        Ok(document)
    })
}

/// Reads all that a target was copied from, and says if anything is missing in it.
///
/// # Errors
/// Those of the stores, except for damage.
pub(super) async fn source_is_whole(
    stores: &Stores,
    document: &ObjectDocument,
    copied: &Copied,
) -> Result<OrKept<()>> {
    let Copied { origin, cursor, .. } = copied;
    let source = match whole(stores, document, &origin.source).await? {
        Ok(source) => source,
        Err(why) => return Ok(Err(why)),
    };
    let Some(restores) = &origin.restores else {
        // a restore copies from a backup, and is removed only once its source was closed elsewhere
        let is_covered = origin.restored_from().is_some() || source.events >= *cursor;
        return Ok(covered(is_covered, *cursor, source.events));
    };
    // the first events of a reverse target are those of the stream that its migration goes back to
    let originals = match whole(stores, document, &restores.originals).await? {
        Ok(originals) => originals,
        Err(why) => return Ok(Err(why)),
    };
    if originals.events < restores.events {
        return Ok(Err(format!(
            "it restores {} events, {} has {}",
            restores.events, restores.originals.stream, originals.events
        )));
    }
    let restored = restores.restored(source.events);
    let is_covered = restored.is_some_and(|restored| restored >= *cursor);
    Ok(covered(is_covered, *cursor, source.events))
}

fn covered(is_covered: bool, cursor: Revision, events: Revision) -> OrKept<()> {
    if is_covered {
        return Ok(());
    }
    Err(format!(
        "it is complete for {cursor} events, its source has {events}"
    ))
}

/// Reads a whole stream of an object and returns where it ends, if nothing is missing in it that is
/// known of it ([R14](crate::protocol#r14)).
async fn whole(
    stores: &Stores,
    document: &ObjectDocument,
    stream: &StreamRef,
) -> Result<OrKept<StreamEnd>> {
    let object = &document.object;
    let known = match owner::known_in(stores, document, stream).await {
        Ok(Some(known)) => known,
        // these are the records of another store, which has an object of the same name
        Ok(None) => {
            let of = "is no stream of";
            return Ok(Err(format!(
                "{} {of} {object} by the document",
                stream.stream
            )));
        }
        Err(error) if error.is_damage() => {
            return Ok(Err(format!(
                "the streams of {object} cannot be followed: {error}"
            )));
        }
        Err(error) => return Err(error),
    };
    let store = stores.of(stream)?;
    let mut end = StreamEnd::default();
    let mut cells = CellScan::start(store, stream, ReadFrom::Seq(0));
    let damage = loop {
        match cells.next().await {
            Ok(Some(page)) => {
                for cell in page.cells {
                    if cell.header.kind == CellKind::Tombstone {
                        return Ok(Err(format!("events of {} were deleted", stream.stream)));
                    }
                    end = StreamEnd::after(&cell.header);
                }
            }
            Ok(None) => break known.check(&**store, end),
            Err(error) => break Err(error),
        }
    };
    match damage {
        Ok(()) => Ok(Ok(end)),
        Err(error) if error.is_damage() => {
            Ok(Err(format!("{} is not whole: {error}", stream.stream)))
        }
        Err(error) => Err(error),
    }
}

/// What a source says of a target, and the tail by which it does.
///
/// # Errors
/// Those of the store.
pub(super) async fn word(
    source: &Arc<dyn EventStore>,
    stream: &StreamRef,
    target: &StreamId,
) -> Result<(Word, Tail)> {
    let tail = source.tail(&stream.stream).await?;
    let closed_to = tail.close().and_then(|close| close.target.as_ref());
    if closed_to.is_some_and(|closed| closed.stream == *target) {
        return Ok((Word::ClosedToIt, tail));
    }
    let controls = chain::control_cells(source, stream, &tail).await?;
    let fenced =
        |kind: &CellKind| matches!(kind, CellKind::Fence(fence) if fence.target == *target);
    let word = if controls.iter().any(fenced) {
        Word::Fenced
    } else if tail.close().is_some() {
        Word::Superseded
    } else {
        Word::Open
    };
    Ok((word, tail))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::id::{Fingerprint, MigrationId, StoreId};

    #[test]
    fn the_id_of_a_target_says_which_attempt_it_belongs_to() {
        let store = StoreId::from_uuid(uuid::Uuid::from_u128(1));
        let object: ObjectId = "order/1".parse().unwrap();
        let mut origin = Origin {
            source: StreamRef::new(store, StreamId::first(&object)),
            migration: MigrationId::from_uuid(uuid::Uuid::from_u128(2)),
            attempt: 3,
            fingerprint: Fingerprint::new("test:1").unwrap(),
            retired: BTreeSet::new(),
            accepted: BTreeSet::new(),
            restores: None,
        };
        let name = StreamName::new("order-1.v2").unwrap();
        let target = StreamId::target(&name, origin.migration, &origin.source, 3);
        assert!(has_id_of(&target, &origin));
        origin.attempt = 4;
        assert!(!has_id_of(&target, &origin), "another attempt");
        assert!(
            !has_id_of(&StreamId::first(&object), &origin),
            "a first stream"
        );
    }
}
