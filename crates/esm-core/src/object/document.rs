//! Object documents: which stream of an object is active, and which came before.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{Error, Result};
use crate::event::Revision;
use crate::id::{Fingerprint, MigrationId, ObjectId, ObjectName, StreamRef};
use crate::store::{
    BackupHandle, Close, RecordChange, RecordCollection, RecordKey, Records, RecordsExt as _,
    change_record,
};

/// The record of an object: its active stream and its terminated ones.
///
/// Derived from the streams and corrected by them: where a Close and the document disagree, the
/// stream decides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectDocument {
    /// The object.
    pub object: ObjectId,
    /// The stream that appends go to.
    pub active: StreamRef,
    /// The streams before it, newest last.
    #[serde(default)]
    pub terminated: Vec<TerminatedStream>,
    /// When the object was created.
    pub created_at: Timestamp,
    /// Fields of newer versions and of users; kept as they are.
    #[serde(flatten)]
    pub extra: BTreeMap<String, Value>,
}

/// A stream that was closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TerminatedStream {
    /// The stream.
    pub stream: StreamRef,
    /// N: number of its events.
    pub events: Revision,
    /// The stream that continues it.
    pub continuation: StreamRef,
    /// M: number of events that the continuation had at the Close.
    pub continuation_events: Revision,
    /// The migration that closed it.
    pub migration: MigrationId,
    /// The transformation that its events went through; absent where only a helper wrote this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<Fingerprint>,
    /// Why it was closed.
    pub reason: TerminationReason,
    /// When its books were closed; absent while they are open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub books_closed_at: Option<Timestamp>,
    /// Its archive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archive: Option<BackupHandle>,
    /// User metadata.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// The reverse migrations that copy from it and keep it from being deleted
    /// ([R18](crate::protocol#r18)): each until it has ended.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub pins: BTreeSet<MigrationId>,
    /// Fields of newer versions and of users; kept as they are.
    #[serde(flatten)]
    pub extra: BTreeMap<String, Value>,
}

/// Why a stream was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TerminationReason {
    /// Its events were migrated to another stream.
    Migrated,
    /// A backup was restored in its place; positions do not translate.
    Restored,
}

impl ObjectDocument {
    /// The document of a new object.
    pub fn new(object: ObjectId, active: StreamRef, created_at: Timestamp) -> Self {
        Self {
            object,
            active,
            terminated: Vec::new(),
            created_at,
            extra: BTreeMap::new(),
        }
    }

    /// The oldest stream that the document names.
    pub fn first_stream(&self) -> &StreamRef {
        let terminated = self.terminated.first().map(|t| &t.stream);
        terminated.unwrap_or(&self.active)
    }

    /// The depth of the active stream in the object's chain of Closes.
    pub fn generation(&self) -> usize {
        self.terminated.len()
    }

    /// The entry of a terminated stream.
    pub fn terminated(&self, stream: &StreamRef) -> Option<&TerminatedStream> {
        self.terminated
            .iter()
            .rfind(|entry| entry.stream == *stream)
    }

    /// As [`terminated`](Self::terminated), to be changed.
    pub fn terminated_mut(&mut self, stream: &StreamRef) -> Option<&mut TerminatedStream> {
        let mut entries = self.terminated.iter_mut();
        entries.rfind(|entry| entry.stream == *stream)
    }

    /// The entry of the stream that a migration closed.
    pub fn closed_by(&self, migration: MigrationId) -> Option<&TerminatedStream> {
        let mut entries = self.terminated.iter();
        entries.find(|entry| entry.migration == migration)
    }

    /// The entry of the stream that a stream continues.
    pub fn continued_by(&self, stream: &StreamRef) -> Option<&TerminatedStream> {
        let mut entries = self.terminated.iter();
        entries.rfind(|entry| entry.continuation == *stream)
    }

    /// Follows a Close of the active stream: the target becomes active and the closed stream gets a
    /// minimal entry; every other field stays ([R12](crate::protocol#r12)). Returns `false` and
    /// changes nothing when `closed` is not the active stream or the Close ends the object.
    pub fn follow(&mut self, closed: &StreamRef, close: &Close) -> bool {
        let Some(target) = &close.target else {
            return false;
        };
        if &self.active != closed {
            return false;
        }
        let reason = if close.continues {
            TerminationReason::Migrated
        } else {
            TerminationReason::Restored
        };
        self.terminated.push(TerminatedStream {
            stream: closed.clone(),
            events: close.events,
            continuation: target.clone(),
            continuation_events: close.target_events,
            migration: close.migration,
            fingerprint: None,
            reason,
            books_closed_at: None,
            archive: None,
            metadata: BTreeMap::new(),
            pins: BTreeSet::new(),
            extra: BTreeMap::new(),
        });
        self.active = target.clone();
        true
    }
}

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
