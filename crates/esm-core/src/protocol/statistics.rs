//! Counts of a run, and the report of each object.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::decisions::Undone;
use super::status::Step;
use crate::RollingHash;
use crate::error::Error;
use crate::event::Revision;
use crate::id::{ObjectId, StreamRef};
use crate::store::BackupHandle;
use crate::transform::{EventCounts, Failure, Ledger};

/// What a migration came to, in numbers. Its size does not grow with the number of objects.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Statistics {
    /// Objects that were migrated.
    pub migrated: u64,
    /// Objects that needed nothing: their active stream went through this transformation already.
    pub up_to_date: u64,
    /// Objects that failed.
    pub failed: u64,
    /// Objects that were undone.
    pub rolled_back: u64,
    /// Objects whose target is kept permanently, because their store cannot fence a source.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub abandoned: u64,
    /// Objects that were created while the migration ran and are in the old schema still.
    pub created_meanwhile: u64,
    /// What became of the source events, and their sizes.
    #[serde(flatten)]
    pub counts: EventCounts,
    /// Data cells written to targets.
    pub cells: u64,
    /// Close attempts lost to a concurrent append.
    pub lost_close_attempts: u64,
    /// The longest time from a Close until the document followed.
    #[serde(default)]
    pub longest_redirect: Duration,
    /// Hooks that went wrong and had no veto.
    #[serde(default)]
    pub hook_faults: u64,
    /// The first backups, in order.
    #[serde(default)]
    pub backups: Vec<BackupHandle>,
    /// The first archives, in order.
    #[serde(default)]
    pub archives: Vec<BackupHandle>,
    /// The first failures of objects, in order.
    #[serde(default)]
    pub failures: Vec<ObjectFailure>,
    /// Progress callbacks that panicked.
    #[serde(default)]
    pub callback_panics: u64,
    /// Progress callbacks that had not returned when the migration ended.
    #[serde(default)]
    pub callbacks_blocked: u64,
}

/// Why an object was not migrated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectFailure {
    /// The object.
    pub object: ObjectId,
    /// In which step.
    pub step: Step,
    /// What went wrong, and how to mend it.
    pub message: String,
    /// The first event that the transformation fails on. It has no value of the event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Statistics {
    /// Number of backups, archives and failures that are named; the rest is only counted.
    pub const MAX_NAMED: usize = 100;

    /// Counts the failure of an object. Returns whether it is named too.
    pub(crate) fn name_failure(&mut self, object: &ObjectId, step: Step, error: &Error) -> bool {
        self.failed += 1;
        let is_named = self.failures.len() < Self::MAX_NAMED;
        if is_named {
            let message = match error.hint() {
                Some(hint) => format!("{error} ({hint})"),
                None => error.to_string(),
            };
            self.failures.push(ObjectFailure {
                object: object.clone(),
                step,
                message,
                failure: Failure::of(error).cloned(),
            });
        }
        is_named
    }

    pub(crate) fn add_undone(&mut self, undone: Undone) {
        match undone {
            Undone::RolledBack | Undone::Superseded => self.rolled_back += 1,
            Undone::Abandoned => self.abandoned += 1,
            Undone::TooLate => {}
        }
    }

    pub(crate) fn name_backup(&mut self, handle: &BackupHandle) {
        if self.backups.len() < Self::MAX_NAMED && !self.backups.contains(handle) {
            self.backups.push(handle.clone());
        }
    }

    pub(crate) fn name_archive(&mut self, handle: &BackupHandle) {
        if self.archives.len() < Self::MAX_NAMED && !self.archives.contains(handle) {
            self.archives.push(handle.clone());
        }
    }

    pub(crate) fn add(&mut self, object: &ObjectReport) {
        match object.fate {
            ObjectFate::UpToDate => self.up_to_date += 1,
            ObjectFate::Migrated => self.migrated += 1,
        }
        self.counts.merge(&object.counts);
        self.cells += object.cells;
        self.lost_close_attempts += object.lost_close_attempts;
        self.longest_redirect = self.longest_redirect.max(object.redirected);
    }
}

/// What became of one object that did not fail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ObjectFate {
    /// Nothing was to do.
    UpToDate,
    /// It is migrated.
    Migrated,
}

/// What became of one object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectReport {
    /// The object.
    pub object: ObjectId,
    /// Whether there was anything to do.
    pub fate: ObjectFate,
    /// The stream that it came from; absent where nothing was to do.
    pub source: Option<StreamRef>,
    /// The stream that is active now.
    pub target: StreamRef,
    /// What was found when both streams were compared; absent where an earlier run did it.
    pub verification: Option<VerificationResult>,
    /// What became of the source events, and their sizes, as far as this run verified them.
    #[serde(flatten)]
    pub counts: EventCounts,
    /// Data cells that this run wrote to the target.
    pub cells: u64,
    /// Close attempts lost to a concurrent append.
    pub lost_close_attempts: u64,
    /// From the Close until the document named the target: writers that came in this time were sent
    /// on by the Close. Zero where an earlier run, or a helper, did a part of it.
    pub redirected: Duration,
}

impl ObjectReport {
    /// The report of an object that needed nothing.
    pub(crate) fn up_to_date(object: ObjectId, active: StreamRef) -> Self {
        Self {
            object,
            fate: ObjectFate::UpToDate,
            source: None,
            target: active,
            verification: None,
            counts: EventCounts::default(),
            cells: 0,
            lost_close_attempts: 0,
            redirected: Duration::ZERO,
        }
    }
}

/// What a comparison of source and target found: they agree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerificationResult {
    /// The source.
    pub source: StreamRef,
    /// The target.
    pub target: StreamRef,
    /// Number of source events that were compared.
    pub source_events: Revision,
    /// Number of target events that were compared.
    pub target_events: Revision,
    /// What became of the source events; it balances.
    pub ledger: Ledger,
    /// The rolling hash of the re-transformed source, and of the re-read target: they are equal.
    pub hash: RollingHash,
    /// The user's own checks, all passed.
    #[serde(default)]
    pub custom_checks: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{StoreId, StreamId};

    #[test]
    fn the_counts_of_a_report_are_fields_of_its_json() {
        let store = StoreId::from_uuid(uuid::Uuid::nil());
        let stream = StreamRef::new(store, StreamId::new("order-1").unwrap());
        let report = ObjectReport::up_to_date("order/1".parse().unwrap(), stream);
        let json = serde_json::to_string(&report).unwrap();
        let expected = concat!(
            r#"{"object":"order/1","fate":"up_to_date","source":null,"#,
            r#""target":{"store":"00000000-0000-0000-0000-000000000000","stream":"order-1"},"#,
            r#""verification":null,"ledger":{"source":0,"unchanged":0,"changed":0,"split":0,"#,
            r#""dropped":{},"failed":{},"outputs":0,"failures":[],"retired":[],"reused":[]},"#,
            r#""source_bytes":0,"target_bytes":0,"cells":0,"lost_close_attempts":0,"#,
            r#""redirected":{"secs":0,"nanos":0}}"#
        );
        assert_eq!(json, expected);
        assert_eq!(serde_json::from_str::<ObjectReport>(&json).unwrap(), report);
    }
}
