//! Records of a layout: a document for each stream, and nothing else.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use esm_core::id::{ObjectId, StoreId, StreamId, StreamRef};
use esm_core::store::{ObjectDocument, Record, RecordCollection, RecordKey, Records};
use esm_core::{Error, Result};
use futures::stream::{self, BoxStream, StreamExt as _};
use jiff::Timestamp;

use super::streams::LayoutStreams;

/// Documents that say of each object that its stream is its only one. There are no journals.
#[derive(Debug)]
pub(super) struct LayoutRecords {
    pub(super) streams: Arc<LayoutStreams>,
    pub(super) store: StoreId,
}

impl LayoutRecords {
    async fn document(&self, object: &ObjectId) -> Result<Option<Record>> {
        let Some(begun) = self.streams.begun(object).await? else {
            return Ok(None);
        };
        let stream = StreamRef::new(self.store, StreamId::new(object.to_string())?);
        let begun = begun.and_then(|time| time.parse::<Timestamp>().ok());
        // without a time in the table, none is known
        let created_at = begun.unwrap_or(Timestamp::UNIX_EPOCH);
        let document = ObjectDocument::new(object.clone(), stream, created_at);
        let body = serde_json::to_vec(&document)
            .map_err(|e| Error::invalid("document cannot be written as JSON").with_source(e))?;
        Ok(Some(Record {
            number: 0,
            body: body.into(),
        }))
    }
}

#[async_trait]
impl Records for LayoutRecords {
    async fn latest(&self, key: &RecordKey) -> Result<Option<Record>> {
        match key {
            RecordKey::Document(object) => self.document(object).await,
            _ => Ok(None),
        }
    }

    async fn get(&self, key: &RecordKey, number: u64) -> Result<Option<Record>> {
        match number {
            0 => self.latest(key).await,
            _ => Ok(None),
        }
    }

    async fn put(&self, key: &RecordKey, _number: u64, _body: Bytes) -> Result<()> {
        Err(super::absent::refused(key))
    }

    fn list(&self, collection: RecordCollection) -> BoxStream<'_, Result<RecordKey>> {
        match collection {
            RecordCollection::Documents(name) => {
                let objects = self.streams.objects(name);
                objects
                    .map(|object| object.map(RecordKey::Document))
                    .boxed()
            }
            _ => stream::empty().boxed(),
        }
    }
}
