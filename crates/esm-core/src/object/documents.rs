//! Object documents as versioned records.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::id::{ObjectId, ObjectName};
use crate::store::{
    ObjectDocument, RecordChange, RecordCollection, RecordKey, Records, RecordsExt as _,
    change_record,
};

/// Object documents over versioned records.
#[derive(Debug, Clone)]
pub struct Documents {
    records: Arc<dyn Records>,
}

/// A document and the number of the version that it was read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionedDocument {
    /// The number of the record's version.
    pub version: u64,
    /// The document.
    pub document: ObjectDocument,
}

impl Documents {
    /// The documents in these records.
    pub fn new(records: Arc<dyn Records>) -> Self {
        Self { records }
    }

    /// The newest version of an object's document.
    ///
    /// # Errors
    /// `Corrupt`, naming the record; `Unavailable`.
    pub async fn find(&self, object: &ObjectId) -> Result<Option<VersionedDocument>> {
        let key = RecordKey::Document(object.clone());
        let found = self.records.latest_as(&key).await?;
        Ok(found.map(|(version, document)| VersionedDocument { version, document }))
    }

    /// The newest version of an object's document, which must exist.
    ///
    /// # Errors
    /// As [`find`](Self::find), and `NotFound` for an unknown object.
    pub async fn load(&self, object: &ObjectId) -> Result<VersionedDocument> {
        self.find(object).await?.ok_or_else(|| unknown(object))
    }

    /// Creates the document of a new object.
    ///
    /// # Errors
    /// `Conflict` when it exists already: load it.
    pub async fn create(&self, document: &ObjectDocument) -> Result<()> {
        self.records
            .put_as(&RecordKey::Document(document.object.clone()), 0, document)
            .await
    }

    /// Loads a document, changes it and writes the next version, again whenever a concurrent change
    /// won. `change` returns whether there is anything to write; it is called once for each
    /// attempt. Returns the document as it is afterwards.
    ///
    /// # Errors
    /// As [`load`](Self::load); `Unavailable` when concurrent changes won every time.
    pub async fn update(
        &self,
        object: &ObjectId,
        mut change: impl FnMut(&mut ObjectDocument) -> bool + Send,
    ) -> Result<ObjectDocument> {
        let key = RecordKey::Document(object.clone());
        change_record(&*self.records, &key, |found: Option<ObjectDocument>| {
            let mut document = found.ok_or_else(|| unknown(object))?;
            Ok(if change(&mut document) {
                RecordChange::Write(document)
            } else {
                RecordChange::Keep(document)
            })
        })
        .await
    }

    /// The objects that have a document, each once, in no particular order.
    pub fn objects(
        &self,
        name: Option<ObjectName>,
    ) -> futures::stream::BoxStream<'_, Result<ObjectId>> {
        use futures::StreamExt as _;
        self.records
            .list(RecordCollection::Documents(name))
            .filter_map(|key| async {
                match key {
                    Ok(RecordKey::Document(object)) => Some(Ok(object)),
                    Ok(_) => None,
                    Err(error) => Some(Err(error)),
                }
            })
            .boxed()
    }
}

fn unknown(object: &ObjectId) -> Error {
    Error::not_found(format!("unknown object: {object}"))
        .with_hint("list the objects of this store to see what there is")
}
