//! Creating objects.

use std::time::Duration;

use crate::backoff::BackOff;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{ObjectId, StreamId, StreamRef};
use crate::object::{Documents, ObjectDocument};
use crate::router::client::ObjectClient;
use crate::router::read::reader::LoadedObject;
use crate::store::Tail;

/// Attempts to create a document while the outcome is unknown.
const CREATE: BackOff =
    BackOff::new(6, Duration::from_millis(20), Duration::from_millis(500)).first_retry_at_once();

impl ObjectClient {
    /// Creates an object without events, or loads the one that exists.
    ///
    /// # Idempotence
    /// May be repeated, by anybody: all get the same object.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub async fn create(&self, object: &ObjectId) -> Result<LoadedObject> {
        match self.put_document(self.reader.documents(), object).await? {
            Some(created) => Ok(created),
            None => self.load(object).await,
        }
    }

    /// Creates the document of a new object; nothing when it has one.
    pub(in crate::router) async fn put_document(
        &self,
        documents: &Documents,
        object: &ObjectId,
    ) -> Result<Option<LoadedObject>> {
        let home = self.reader.stores().home().id();
        let stream = StreamRef::new(home, StreamId::first(object));
        let created_at = self.environment.clock.now();
        let document = ObjectDocument::new(object.clone(), stream, created_at);
        let created = LoadedObject {
            document,
            tail: Tail::default(),
        };
        let (mut back_off, mut in_doubt) = (CREATE, false);
        loop {
            match documents.create(&created.document).await {
                Ok(()) => return Ok(Some(created)),
                Err(error) if error.may_have_applied() => in_doubt = true,
                // the conflict may be with an own attempt whose response was lost
                Err(error) if matches!(error.kind(), ErrorKind::Conflict { .. }) => {
                    if !in_doubt {
                        return Ok(None);
                    }
                }
                Err(error) => return Err(error),
            }
            if !back_off.pause(&self.environment).await {
                let message = format!("creating has an unknown outcome: {object}");
                return Err(Error::new(ErrorKind::Ambiguous, message)
                    .with_hint("create it again: that is safe"));
            }
            match documents.find(object).await? {
                // where two create the very same, the first append decides
                Some(found) if found.document == created.document => return Ok(Some(created)),
                Some(_) => return Ok(None),
                None => {}
            }
        }
    }
}

/// An unknown outcome of creating the object leaves none of appending to it.
pub(in crate::router) fn not_appended(error: Error) -> Error {
    if error.may_have_applied() {
        Error::new(ErrorKind::Unavailable, "object could not be created")
            .with_source(error)
            .with_hint("nothing was appended: try again")
    } else {
        error
    }
}
