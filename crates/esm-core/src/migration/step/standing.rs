//! Where an object stands: what there is to restore of it.

use std::sync::Arc;

use crate::cutover::source::originals::Originals;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{MigrationId, StreamRef};
use crate::object::{ObjectDocument, TerminatedStream, TerminationReason};
use crate::protocol::reversal::Reverses;
use crate::store::{EventStoreExt as _, Stores, Tail};

/// Where an object stands that a reverse migration comes to.
#[derive(Debug)]
pub(crate) enum Standing {
    /// The migration that is reversed did not move it.
    Untouched,
    /// What it did is reversed already.
    Restored,
    /// These are to be restored.
    Restore(Arc<Originals>),
}

/// What a reverse migration would restore of an object, as its document says; nothing where the
/// migration that is reversed did not move it. Reads nothing.
///
/// # Errors
/// `UnknownStore`.
pub(crate) fn originals(
    stores: &Stores,
    reverses: &Reverses,
    document: &ObjectDocument,
) -> Result<Option<Arc<Originals>>> {
    let unchanged = reverses.left_all_unchanged();
    let entry = closed_by(document, reverses.migration);
    let originals =
        entry.map(|entry| Originals::new(stores, entry, unchanged, reverses.down.clone()));
    Ok(originals.transpose()?.map(Arc::new))
}

/// Finds out where an object stands whose document names the end of its chain, which has this tail.
///
/// # Errors
/// - `Conflict`, naming the migration, when another has moved the object on since.
/// - `Stuck` for a restored backup, over which positions do not translate.
/// - `Unsupported` when the originals' store cannot take the restored stream.
/// - `Corrupt` when the closed stream says otherwise than the document.
pub(crate) async fn standing(
    stores: &Stores,
    reverses: &Reverses,
    document: &ObjectDocument,
    tail: &Tail,
) -> Result<Standing> {
    let Some(entry) = closed_by(document, reverses.migration) else {
        return Ok(Standing::Untouched);
    };
    if entry.reason == TerminationReason::Restored {
        let message = format!("a restored backup cannot be reversed: {}", document.object);
        return Err(Error::new(ErrorKind::Stuck, message)
            .with_hint("restore a backup of what was there before it"));
    }
    if is_restored(stores, entry, document).await? {
        return Ok(Standing::Restored);
    }
    let Some(originals) = originals(stores, reverses, document)? else {
        return Ok(Standing::Untouched);
    };
    originals.store.capabilities().ensure_target()?;
    refuse_contradiction(&originals, tail).await?;
    Ok(Standing::Restore(originals))
}

/// Whether an error of [`standing`] is about that object alone: it cannot be reversed, others can.
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

fn closed_by(document: &ObjectDocument, migration: MigrationId) -> Option<&TerminatedStream> {
    let mut entries = document.terminated.iter();
    entries.find(|entry| entry.migration == migration)
}

/// Whether what this migration did is reversed already. Else the active stream must be what it closed
/// to, or restore that: then its first M events are the same.
async fn is_restored(
    stores: &Stores,
    entry: &TerminatedStream,
    document: &ObjectDocument,
) -> Result<bool> {
    let mut stream = document.active.clone();
    // a restoration names a stream that is older than itself, so this ends
    for _ in 0..=document.terminated.len() {
        if stream == entry.continuation {
            return Ok(false);
        }
        let origin = stores.of(&stream)?.origin(&stream.stream).await?;
        match origin.and_then(|origin| origin.restores) {
            Some(restores) => stream = restores.originals,
            None => break,
        }
    }
    // what is active stands for a stream from before the migration, or from after it
    let generation = |of: &StreamRef| document.terminated.iter().position(|t| t.stream == *of);
    match generation(&stream).is_some_and(|found| Some(found) <= generation(&entry.stream)) {
        true => Ok(true),
        false => Err(moved_on(document, &stream)),
    }
}

fn moved_on(document: &ObjectDocument, stream: &StreamRef) -> Error {
    let mut entries = document.terminated.iter().rev();
    let by = entries.find(|entry| entry.continuation == *stream);
    let (object, by) = (&document.object, by.map(|entry| entry.migration));
    let name = by.map_or_else(|| "another migration".to_owned(), |by| by.to_string());
    let message = format!("another migration has moved {object} on since: {name}");
    Error::new(ErrorKind::Conflict { actual: None }, message)
        .with_hint("roll back the newest migration of an object first, then the one before it")
}

/// The stream decides, not the document.
async fn refuse_contradiction(originals: &Originals, tail: &Tail) -> Result<()> {
    let closed = originals.store.tail(&originals.stream.stream).await?;
    let agrees = closed.close().is_some_and(|close| {
        close.migration == originals.migration
            && close.events == originals.events
            && close.target.as_ref() == Some(&originals.continuation)
            && close.target_events == originals.continuation_events
            && close.continues
    });
    match agrees && tail.next_revision() >= originals.continuation_events {
        true => Ok(()),
        false => Err(Error::corrupt(format!(
            "the document says otherwise than the closed stream: {}",
            originals.stream
        ))),
    }
}
