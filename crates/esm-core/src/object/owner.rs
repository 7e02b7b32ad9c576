//! Which object a stream belongs to.

use std::collections::HashSet;

use crate::error::Result;
use crate::id::{ObjectId, StreamRef};
use crate::object::{KnownStream, ObjectDocument, chain};
use crate::store::{Close, EventStoreExt as _, Stores};

/// The object that a stream belongs to by the first cells, which lead back to its first stream, whose id
/// has the object's name. `None` where they do not. Stores may have objects of the same name: see
/// [`has_stream`].
///
/// # Errors
/// Those of the stores, except for damage.
pub(crate) async fn object_of(stores: &Stores, source: &StreamRef) -> Result<Option<ObjectId>> {
    let mut met = HashSet::new();
    let mut stream = source.clone();
    while met.insert(stream.clone()) {
        if let Some(object) = stream.stream.object_of_first() {
            return Ok(Some(object));
        }
        let Ok(store) = stores.of(&stream) else {
            return Ok(None);
        };
        stream = match store.origin(&stream.stream).await {
            Ok(Some(origin)) => origin.source,
            Ok(None) => return Ok(None),
            Err(error) if error.is_damage() => return Ok(None),
            Err(error) => return Err(error),
        };
    }
    Ok(None)
}

/// Whether a stream is in the chain of an object, by its document with all entries and the Closes since.
///
/// # Errors
/// Those of [`chain::follow_in`].
pub(crate) async fn has_stream(
    stores: &Stores,
    document: &ObjectDocument,
    stream: &StreamRef,
) -> Result<bool> {
    if is_named(stores, document, stream) {
        return Ok(true);
    }
    let end = chain::follow_in(stores, document).await?;
    let mut closed = end.closes.iter().map(|(closed, _)| closed);
    Ok(is_same(stores, &end.stream, stream) || closed.any(|c| is_same(stores, c, stream)))
}

/// The least that a stream must have by the document of its object and the Closes since; `None` for a
/// stream of another object. The streams from the active one on are checked.
///
/// # Errors
/// Those of [`chain::follow_in`].
pub(crate) async fn known_in(
    stores: &Stores,
    document: &ObjectDocument,
    stream: &StreamRef,
) -> Result<Option<KnownStream>> {
    let end = chain::follow_in(stores, document).await?;
    let leads_to_it = |close: &&Close| {
        let target = close.target.as_ref();
        target.is_some_and(|target| is_same(stores, target, stream))
    };
    let close = end.closes.iter().map(|(_, close)| close).find(leads_to_it);
    let known = KnownStream::of(document, stream);
    Ok(match close {
        Some(close) => Some(known.continuing(close)),
        None => is_named(stores, document, stream).then_some(known),
    })
}

fn is_named(stores: &Stores, document: &ObjectDocument, stream: &StreamRef) -> bool {
    let mut terminated = document.terminated.iter();
    is_same(stores, &document.active, stream)
        || terminated.any(|entry| is_same(stores, &entry.stream, stream))
}

fn is_same(stores: &Stores, one: &StreamRef, other: &StreamRef) -> bool {
    let id = |stream: &StreamRef| stores.of(stream).map(|store| store.id()).ok();
    one.stream == other.stream && (one.store == other.store || id(one) == id(other))
}
