//! Object documents: which stream of an object is active, and which came before.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::event::Revision;
use crate::id::{Fingerprint, MigrationId, ObjectId, StreamRef};
use crate::store::{BackupHandle, Close};

/// What is known of an object: its active stream and its terminated ones.
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
    /// Where it goes on.
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
    /// The user's own words.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
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

    /// The entry of a terminated stream.
    pub fn terminated(&self, stream: &StreamRef) -> Option<&TerminatedStream> {
        self.terminated.iter().rev().find(|t| &t.stream == stream)
    }

    /// Follows a Close of the active stream: the target becomes active and the closed stream gets
    /// a minimal entry; every other field stays (R12). Answers `false` and changes nothing when
    /// `closed` is not the active stream or the Close ends the object.
    pub fn follow(&mut self, closed: &StreamRef, close: &Close) -> bool {
        let Some(target) = &close.target else {
            return false;
        };
        if &self.active != closed {
            return false;
        }
        let reason = match close.continues {
            true => TerminationReason::Migrated,
            false => TerminationReason::Restored,
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
            extra: BTreeMap::new(),
        });
        self.active = target.clone();
        true
    }
}
