//! The document after the pivot: last, so that nobody sees a half-restored object.

use std::time::Duration;

use crate::cutover::Cutover;
use crate::cutover::close::ClosedStream;
use crate::error::{Error, ErrorKind, Result};
use crate::object::{ObjectDocument, TerminatedStream, chain};
use crate::store::BackupSection;

/// Attempts to create a document while the outcome of the one before is unknown.
const TRIES: u32 = 8;
const PAUSE: Duration = Duration::from_millis(20);

/// Makes the document name the chain's end, keeping every other field; a new object gets one, with
/// the user's fields of the section. Helpers may have done a part of it already. Returns the entry of
/// the closed stream.
///
/// # Errors
/// Those of the store and the records. Do the same again.
pub(super) async fn follow(
    cutover: &Cutover<'_>,
    closed: ClosedStream<'_>,
    new: Option<&BackupSection>,
) -> Result<TerminatedStream> {
    let documents = cutover.documents;
    for round in 1..=TRIES {
        let Some(section) = new else {
            return entry(&closed.follow(cutover).await?, &closed);
        };
        if documents.find(closed.object).await?.is_some() {
            return entry(&closed.follow(cutover).await?, &closed);
        }
        let document = first_document(cutover, &closed, section).await?;
        match documents.create(&document).await {
            Ok(()) => return entry(&document, &closed),
            // the next round finds whose it is; one of an application is updated
            Err(e) if matches!(e.kind(), ErrorKind::Conflict { .. } | ErrorKind::Ambiguous) => {}
            Err(e) => return Err(e),
        }
        let environment = cutover.environment;
        let pause = environment.jittered(PAUSE * round);
        environment.clock.sleep(pause).await;
    }
    let message = format!("creating has an unknown outcome: {}", closed.object);
    Err(Error::new(ErrorKind::Ambiguous, message).with_hint("restore again: that is safe"))
}

async fn first_document(
    cutover: &Cutover<'_>,
    closed: &ClosedStream<'_>,
    section: &BackupSection,
) -> Result<ObjectDocument> {
    let end = chain::follow_in(cutover.stores, closed.stream.clone()).await?;
    let now = cutover.environment.clock.now();
    let mut document = ObjectDocument::new(closed.object.clone(), closed.stream.clone(), now);
    if let Some(original) = &section.document {
        document.extra.clone_from(&original.extra);
    }
    chain::follow_all(&mut document, &end);
    closed.complete(&mut document, now);
    Ok(document)
}

fn entry(document: &ObjectDocument, closed: &ClosedStream<'_>) -> Result<TerminatedStream> {
    let mut entries = document.terminated.iter();
    let entry = entries.rfind(|e| e.stream == *closed.stream && e.migration == closed.migration);
    entry.cloned().ok_or_else(|| {
        let (object, stream) = (closed.object, closed.stream);
        Error::corrupt(format!(
            "the document of {object} does not know of {stream}"
        ))
    })
}
