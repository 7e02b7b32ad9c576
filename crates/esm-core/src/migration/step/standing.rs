//! The state of an object in a reverse migration, and its originals.

use std::sync::Arc;

use crate::cutover::source::originals::Originals;
use crate::error::{Error, ErrorKind, Result};
use crate::id::StreamRef;
use crate::object::{Documents, ObjectDocument, TerminatedStream, TerminationReason};
use crate::protocol::plan::Reverses;
use crate::store::{EventStoreExt as _, Stores, Tail};

/// The state of an object in a reverse migration.
#[derive(Debug)]
pub(crate) enum Standing {
    /// The reversed migration did not move it.
    Untouched,
    /// It is already restored.
    Restored,
    /// These originals are to be restored.
    Restore(Arc<Originals>),
}

/// Returns the originals that a reverse migration would restore, by the object's document; `None`
/// if the reversed migration did not move the object. Reads nothing but what the document leaves
/// out.
///
/// # Errors
/// `UnknownStore`; those of [`Documents::reaching`].
pub(crate) async fn originals(
    stores: &Stores,
    documents: &Documents,
    reverses: &Reverses,
    document: &ObjectDocument,
) -> Result<Option<Arc<Originals>>> {
    let is_reversed = |entry: &TerminatedStream| entry.migration == reverses.migration;
    let entry = documents.find_terminated(document, is_reversed).await?;
    let originals = entry.map(|entry| restorable(stores, reverses, &entry));
    originals.transpose()
}

fn restorable(
    stores: &Stores,
    reverses: &Reverses,
    entry: &TerminatedStream,
) -> Result<Arc<Originals>> {
    let unchanged = reverses.left_all_unchanged();
    Originals::new(stores, entry, unchanged, reverses.down.clone()).map(Arc::new)
}

/// Returns the state of an object whose document names the end of its chain, which has this tail.
///
/// # Errors
/// - `Conflict`, naming the migration, when another has moved the object on since.
/// - `Stuck` for a restored backup, across which positions do not translate.
/// - `Unsupported` when the originals' store cannot take the restored stream.
/// - `Corrupt` when the closed stream contradicts the document.
/// - Those of [`Documents::reaching`].
pub(crate) async fn standing(
    stores: &Stores,
    documents: &Documents,
    reverses: &Reverses,
    document: &ObjectDocument,
    tail: &Tail,
) -> Result<Standing> {
    let is_reversed = |entry: &TerminatedStream| entry.migration == reverses.migration;
    let Some(entry) = documents.find_terminated(document, is_reversed).await? else {
        return Ok(Standing::Untouched);
    };
    if entry.reason == TerminationReason::Restored {
        let message = format!("a restored backup cannot be reversed: {}", document.object);
        return Err(Error::new(ErrorKind::Stuck, message)
            .with_hint("restore a backup of the state before it"));
    }
    if is_restored(stores, documents, &entry, document).await? {
        return Ok(Standing::Restored);
    }
    let originals = restorable(stores, reverses, &entry)?;
    originals.store.capabilities().ensure_target()?;
    refuse_contradiction(&originals, tail).await?;
    Ok(Standing::Restore(originals))
}

/// Whether an error of [`standing`] concerns that object alone: other objects can be reversed.
pub(crate) fn blocks(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Conflict { .. }
            | ErrorKind::Stuck
            | ErrorKind::Unsupported
            | ErrorKind::Corrupt
            | ErrorKind::Gone
            | ErrorKind::UnknownStore
    )
}

/// Whether this migration is already reversed for the object. Otherwise the active stream must be
/// the target of its Close, or restore that target, so that its first M events are the same.
async fn is_restored(
    stores: &Stores,
    documents: &Documents,
    entry: &TerminatedStream,
    document: &ObjectDocument,
) -> Result<bool> {
    let mut stream = document.active.clone();
    // a restored stream names an older one, so this ends
    for _ in 0..=document.generation() {
        if stream == entry.continuation {
            return Ok(false);
        }
        let origin = stores.of(&stream)?.origin(&stream.stream).await?;
        match origin.and_then(|origin| origin.restores) {
            Some(restores) => stream = restores.originals,
            None => break,
        }
    }
    // the active stream continues a stream from before the migration, or from after it
    let document = &documents.whole(document.clone()).await?;
    let found = document.generation_of(&stream);
    if found.is_some_and(|found| Some(found) <= document.generation_of(&entry.stream)) {
        Ok(true)
    } else {
        Err(moved_on(document, &stream))
    }
}

fn moved_on(document: &ObjectDocument, stream: &StreamRef) -> Error {
    let (object, by) = (&document.object, document.continued_by(stream));
    if by.is_some_and(|entry| entry.reason == TerminationReason::Restored) {
        let message = format!("a restored backup has replaced the stream of {object} since");
        return Error::new(ErrorKind::Conflict { actual: None }, message).with_hint(
            "to return to the events before the migration, restore a backup of them in place of the \
             active stream; the other objects can be rolled back if failures do not stop the rollback",
        );
    }
    let by = by.map(|entry| entry.migration);
    let name = by.map_or_else(|| "another migration".to_owned(), |by| by.to_string());
    let message = format!("another migration has moved {object} since: {name}");
    Error::new(ErrorKind::Conflict { actual: None }, message)
        .with_hint("roll back the newest migration of an object first, then the one before it")
}

/// Checks the document against the closed stream, which is authoritative.
async fn refuse_contradiction(originals: &Originals, tail: &Tail) -> Result<()> {
    let closed = originals.store.tail(&originals.stream.stream).await?;
    let agrees = closed.close().is_some_and(|close| {
        close.migration == originals.migration
            && close.events == originals.events
            && close.target.as_ref() == Some(&originals.continuation)
            && close.target_events == originals.continuation_events
            && close.continues
    });
    if agrees && tail.next_revision() >= originals.continuation_events {
        return Ok(());
    }
    Err(Error::corrupt(format!(
        "the document contradicts the closed stream: {}",
        originals.stream
    )))
}
