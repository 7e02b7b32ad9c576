//! Step 7: archives the closed streams and records it in their documents.

use std::sync::Arc;

use crate::cutover::close::stamp_books;
use crate::error::{Error, Result};
use crate::id::{ObjectId, StreamRef};
use crate::migration::context::Context;
use crate::migration::step::back_up::{Subject, back_up};
use crate::object::{KnownStream, ObjectDocument};
use crate::protocol::status::Step;
use crate::store::{BackupHandle, BackupKind};

/// A stream that this migration closed, with open books.
#[derive(Debug, Clone)]
pub(crate) struct OpenBooks {
    pub(crate) object: ObjectId,
    pub(crate) stream: StreamRef,
}

/// Writes and verifies one archive of all these streams, then closes the books of each. A
/// repetition after a crash writes another archive for the books that are still open.
///
/// # Errors
/// Those of provider, store and records.
pub(crate) async fn close_books(
    context: &Context,
    open: &[OpenBooks],
) -> Result<Option<BackupHandle>> {
    let Some(books) = context.plan.close_books.as_ref() else {
        return Ok(None);
    };
    let Some(settings) = &books.archive else {
        return Ok(None);
    };
    if open.is_empty() {
        return Ok(None);
    }
    context.live.reporter.update(|p| p.step = Step::CloseBooks);
    let provider = context
        .services
        .archives
        .as_ref()
        .map(Arc::clone)
        .ok_or_else(|| Error::invalid("no provider for the archive"))?;
    let mut subjects = Vec::with_capacity(open.len());
    for books in open {
        let documents = &context.services.documents;
        let document = documents.load(&books.object).await?.document;
        let is_listed = |d: &ObjectDocument| d.terminated(&books.stream).is_some();
        let document = documents.reaching(document, is_listed).await?;
        subjects.push(Subject {
            stream: KnownStream::of(&document, &books.stream),
            document: Some(document),
        });
    }
    let archive = back_up(context, &provider, BackupKind::Archive, settings, &subjects).await?;
    crate::migration::limits::concurrent::for_each_concurrent(
        || context.live.steering.settings().concurrency,
        open,
        |books| record(context, books, &archive),
    )
    .await?;
    Ok(Some(archive))
}

async fn record(context: &Context, books: &OpenBooks, archive: &BackupHandle) -> Result<()> {
    let now = context.services.environment.clock.now();
    let metadata = context.plan.close_books.as_ref().map(|b| &b.metadata);
    context
        .services
        .documents
        .update_terminated(&books.object, &books.stream, |document| {
            let entry = document.terminated_mut(&books.stream);
            let Some(entry) = entry.filter(|e| e.books_closed_at.is_none()) else {
                return false;
            };
            entry.archive = Some(archive.clone());
            stamp_books(entry, metadata.unwrap_or(&Default::default()), now);
            true
        })
        .await
        .map(drop)
}
