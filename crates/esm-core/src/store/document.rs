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
    /// The streams before it, newest last; those of [`earlier_streams`](Self::earlier_streams) are
    /// left out behind the first.
    #[serde(default)]
    pub terminated: Vec<TerminatedStream>,
    /// Where the terminated streams are that are left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub earlier_streams: Option<EarlierStreams>,
    /// When the object was created.
    pub created_at: Timestamp,
    /// When the document was written again from the streams, because it was lost. What only the document
    /// had is lost: fields of users, and what must not be deleted. So nothing of such an object may be
    /// ([R18](crate::protocol#r18)).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rebuilt_at: Option<Timestamp>,
    /// Fields of newer versions and of users; kept as they are.
    #[serde(flatten)]
    pub extra: BTreeMap<String, Value>,
}

/// The terminated streams that a document leaves out, because a version before it has them.
///
/// They come directly after the first stream. Versions are never changed and never removed, so a
/// document needs to repeat only its newest streams: it does not grow with their number.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EarlierStreams {
    /// The version of the same record that has the newest of them. It may leave out others itself.
    pub version: u64,
    /// Number of them.
    pub count: u32,
    /// The entries of those that have changed since that version.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<TerminatedStream>,
    /// Fields of newer versions; kept as they are.
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
            earlier_streams: None,
            created_at,
            rebuilt_at: None,
            extra: BTreeMap::new(),
        }
    }

    /// The oldest stream that the document names.
    pub fn first_stream(&self) -> &StreamRef {
        let terminated = self.terminated.first().map(|t| &t.stream);
        terminated.unwrap_or(&self.active)
    }

    /// The terminated streams that are left out behind the first; nothing where none is missing.
    ///
    /// The first stream and the next one in the list then do not follow each other. A field that
    /// says otherwise than the list is ignored: older versions of esm copy fields that they do not
    /// know into documents of other objects.
    pub fn left_out(&self) -> Option<&EarlierStreams> {
        let earlier = self.earlier_streams.as_ref()?;
        let [first, next, ..] = self.terminated.as_slice() else {
            return None;
        };
        (first.continuation != next.stream).then_some(earlier)
    }

    /// The terminated streams from which on none is left out.
    pub(crate) fn newest(&self) -> &[TerminatedStream] {
        let first = usize::from(self.left_out().is_some());
        &self.terminated[first..]
    }

    /// The depth of the active stream in the object's chain of Closes.
    pub fn generation(&self) -> usize {
        self.terminated.len() + self.number_left_out()
    }

    fn number_left_out(&self) -> usize {
        self.left_out().map_or(0, |earlier| earlier.count as usize)
    }

    /// The depth of a stream in the object's chain of Closes; absent for a stream that the document
    /// does not list.
    pub fn generation_of(&self, stream: &StreamRef) -> Option<usize> {
        let mut entries = self.terminated.iter();
        match entries.rposition(|entry| entry.stream == *stream) {
            Some(0) => Some(0),
            Some(index) => Some(index + self.number_left_out()),
            None => (self.active == *stream).then(|| self.generation()),
        }
    }

    /// The newest entry that fits, of those that the document has. [`Documents`] finds those that
    /// it leaves out, too.
    ///
    /// [`Documents`]: crate::object::Documents::find_terminated
    pub fn find_terminated(
        &self,
        fits: impl Fn(&TerminatedStream) -> bool,
    ) -> Option<&TerminatedStream> {
        let changed = self.left_out().map_or(&[][..], |earlier| &earlier.changed);
        let mut entries = self.terminated.iter().rev().chain(changed);
        entries.find(|entry| fits(entry))
    }

    /// The entry of a terminated stream.
    pub fn terminated(&self, stream: &StreamRef) -> Option<&TerminatedStream> {
        self.find_terminated(|entry| entry.stream == *stream)
    }

    /// As [`terminated`](Self::terminated), to be changed.
    pub fn terminated_mut(&mut self, stream: &StreamRef) -> Option<&mut TerminatedStream> {
        let leaves_out = self.left_out().is_some();
        let earlier = self.earlier_streams.as_mut().filter(|_| leaves_out);
        let changed = earlier.map_or(&mut [][..], |earlier| &mut earlier.changed);
        let mut entries = self.terminated.iter_mut().rev().chain(changed);
        entries.find(|entry| entry.stream == *stream)
    }

    /// The entry of the stream that a migration closed.
    pub fn closed_by(&self, migration: MigrationId) -> Option<&TerminatedStream> {
        self.find_terminated(|entry| entry.migration == migration)
    }

    /// The entry of the stream that a stream continues.
    pub fn continued_by(&self, stream: &StreamRef) -> Option<&TerminatedStream> {
        self.find_terminated(|entry| entry.continuation == *stream)
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
            target_last: None,
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
