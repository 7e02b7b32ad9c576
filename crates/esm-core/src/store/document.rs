//! The object document: which stream of an object is active, and which came before.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::event::Revision;
use crate::id::{Fingerprint, MigrationId, ObjectId, StreamRef};
use crate::store::backup::BackupHandle;
use crate::store::cell::Close;

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

    /// The depth of a stream in the object's chain of Closes; absent for a stream that the document
    /// does not name.
    pub fn generation_of(&self, stream: &StreamRef) -> Option<usize> {
        let mut entries = self.terminated.iter();
        let closed = entries.rposition(|entry| entry.stream == *stream);
        closed.or_else(|| (self.active == *stream).then(|| self.generation()))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{StoreId, StreamId};

    fn stream(name: &str) -> StreamRef {
        let store = StoreId::from_uuid(uuid::Uuid::nil());
        StreamRef::new(store, StreamId::new(name).unwrap())
    }

    fn migration(number: u128) -> MigrationId {
        MigrationId::from_uuid(uuid::Uuid::from_u128(number))
    }

    fn close(target: &str, number: u128) -> Close {
        Close {
            target: Some(stream(target)),
            events: Revision(2),
            target_events: Revision(3),
            migration: migration(number),
            continues: true,
        }
    }

    #[test]
    fn a_stream_is_found_by_name_by_its_migration_and_by_what_continues_it() {
        let object = "order/1".parse().unwrap();
        let mut document = ObjectDocument::new(object, stream("a"), Timestamp::UNIX_EPOCH);
        assert!(document.follow(&stream("a"), &close("b", 1)));
        assert!(document.follow(&stream("b"), &close("c", 2)));
        let generation = |name| document.generation_of(&stream(name));
        assert_eq!(
            ["a", "b", "c", "d"].map(generation),
            [Some(0), Some(1), Some(2), None]
        );

        let name = |found: Option<&TerminatedStream>| found.map(|entry| entry.stream.clone());
        assert_eq!(name(document.terminated(&stream("b"))), Some(stream("b")));
        assert_eq!(name(document.terminated(&stream("c"))), None);
        assert_eq!(name(document.closed_by(migration(1))), Some(stream("a")));
        assert_eq!(name(document.closed_by(migration(3))), None);
        assert_eq!(name(document.continued_by(&stream("c"))), Some(stream("b")));
        assert_eq!(name(document.continued_by(&stream("a"))), None);
    }
}
