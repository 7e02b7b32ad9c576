//! Objects whose streams exist already.

use std::sync::Arc;

use esm_core::clock::Environment;
use esm_core::id::{ObjectId, StreamId, StreamRef};
use esm_core::object::{Documents, ObjectDocument, TerminatedStream};
use esm_core::store::{EventStore, Records};
use esm_core::{Error, ErrorKind, Result};

/// Makes an object of a stream that an application wrote: creates a document that names the stream
/// as active. Call it once for each object before it is migrated, also for new objects.
///
/// # Errors
/// `NotFound` for a stream without events; `AlreadyExists` when the object has another stream.
///
/// # Idempotence
/// May be repeated by any process, also after the object has moved to another stream.
pub async fn adopt(
    records: Arc<dyn Records>,
    store: &dyn EventStore,
    object: ObjectId,
    stream: StreamId,
    environment: &Environment,
) -> Result<ObjectDocument> {
    let documents = Documents::new(records);
    let stream = StreamRef::new(store.id(), stream);
    if let Some(found) = documents.find(&object).await? {
        return ensure_of(&documents, found.document, &stream).await;
    }
    if store.tail(&stream.stream).await?.is_empty() {
        let message = format!("the stream of {object} has no events: {stream}");
        return Err(Error::not_found(message).with_hint("check the stream's name"));
    }
    let document = ObjectDocument::new(object, stream.clone(), environment.clock.now());
    match documents.create(&document).await {
        Ok(()) => Ok(document),
        Err(e) if matches!(e.kind(), ErrorKind::Conflict { .. } | ErrorKind::Ambiguous) => {
            let found = documents.load(&document.object).await?.document;
            ensure_of(&documents, found, &stream).await
        }
        Err(e) => Err(e),
    }
}

async fn ensure_of(
    documents: &Documents,
    document: ObjectDocument,
    stream: &StreamRef,
) -> Result<ObjectDocument> {
    let is_it = |entry: &TerminatedStream| entry.stream == *stream;
    if document.active == *stream || documents.find_terminated(&document, is_it).await?.is_some() {
        return Ok(document);
    }
    let (object, active) = (&document.object, &document.active);
    let message = format!("{object} has another stream than {stream}: {active}");
    Err(Error::new(ErrorKind::AlreadyExists, message))
}
