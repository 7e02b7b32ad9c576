//! Records with one defect each.

use async_trait::async_trait;
use bytes::Bytes;
use esm_core::Result;
use esm_core::store::{Record, RecordCollection, RecordKey, Records};
use esm_testkit::memory::MemoryRecords;
use futures::stream::BoxStream;
use serde_json::Value;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Defect {
    None,
    /// Puts every version behind the others, whatever its number.
    PutsAtAnyNumber,
    /// Acknowledges that books are closed, and keeps the document that says they are open.
    ClosesNoBooks,
    /// Gives the third process that claims a journal the epoch of the second.
    RepeatsAnEpoch,
}

#[derive(Debug)]
pub(crate) struct Broken {
    pub(crate) inner: MemoryRecords,
    pub(crate) defect: Defect,
}

/// The third claim on a journal as if it were the second; all else as it is.
fn with_repeated_epoch(body: Bytes) -> Bytes {
    let mut record: Value = serde_json::from_slice(&body).expect("records are JSON");
    if record["record"] != "claim" || record["epoch"] != 3 {
        return body;
    }
    record["epoch"] = 2.into();
    record.to_string().into()
}

/// Whether it is the document of an object whose books are closed.
fn closes_books(body: &Bytes) -> bool {
    let record: Value = serde_json::from_slice(body).expect("records are JSON");
    !record["terminated"][0]["books_closed_at"].is_null()
}

#[async_trait]
impl Records for Broken {
    async fn latest(&self, key: &RecordKey) -> Result<Option<Record>> {
        self.inner.latest(key).await
    }

    async fn get(&self, key: &RecordKey, number: u64) -> Result<Option<Record>> {
        self.inner.get(key, number).await
    }

    async fn put(&self, key: &RecordKey, number: u64, body: Bytes) -> Result<()> {
        let (body, number) = match self.defect {
            Defect::ClosesNoBooks if closes_books(&body) => return Ok(()),
            Defect::None | Defect::ClosesNoBooks => (body, number),
            Defect::PutsAtAnyNumber => (body, self.inner.snapshot(key).len() as u64),
            Defect::RepeatsAnEpoch => (with_repeated_epoch(body), number),
        };
        self.inner.put(key, number, body).await
    }

    fn list(&self, collection: RecordCollection) -> BoxStream<'_, Result<RecordKey>> {
        self.inner.list(collection)
    }
}
