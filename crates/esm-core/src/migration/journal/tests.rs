use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use jiff::Timestamp;

use super::*;
use crate::RollingHash;
use crate::clock::Environment;
use crate::error::{Error, ErrorKind, Result};
use crate::event::Revision;
use crate::id::{CommitId, Epoch, HolderId, MigrationId, StoreId, StreamRef};
use crate::protocol::journal::{
    IllegalRecord, JournalEntry, JournalRecord, JournalState, Outcome, VerifiedCheckpoint,
};
use crate::protocol::plan::{BulkOptions, CopyOptions, MigrationStrategy, PlannedMigration, Scope};
use crate::protocol::statistics::Statistics;
use crate::protocol::status::{MigrationStatus, Step};
use crate::store::{Record, RecordCollection, RecordKey, Records};
use crate::transform::EventCounts;
use uuid::Uuid;

fn plan() -> Box<PlannedMigration> {
    Box::new(PlannedMigration {
        migration: MigrationId::from_uuid(Uuid::from_u128(1)),
        created_at: Timestamp::UNIX_EPOCH,
        store: StoreId::from_uuid(Uuid::from_u128(2)),
        scope: Scope::All,
        source: None,
        target: None,
        target_store: None,
        cutover: Default::default(),
        phases: Default::default(),
        throttle: Default::default(),
        strategy: MigrationStrategy::CopyAndTransform,
        fingerprint: crate::id::Fingerprint::new("f").unwrap(),
        // as it was by default when the snapshots were made
        copy: CopyOptions {
            cell_events: 512,
            ..CopyOptions::default()
        },
        bulk: BulkOptions::default(),
        backup: None,
        close_books: None,
        rollback_on_failure: false,
        again: false,
        on_retired: None,
        reverses: None,
        way_back: Default::default(),
        annotations: Default::default(),
    })
}

fn record(epoch: u64, entry: JournalEntry) -> JournalRecord {
    JournalRecord {
        format: JournalRecord::FORMAT,
        commit: CommitId::from_uuid(Uuid::from_u128(3)),
        epoch: Epoch(epoch),
        holder: HolderId::new("h").unwrap(),
        at: Timestamp::UNIX_EPOCH,
        entry,
    }
}

fn finished(outcome: Outcome) -> JournalEntry {
    JournalEntry::Finished {
        outcome,
        statistics: Box::default(),
    }
}

fn stream(name: &str) -> StreamRef {
    StreamRef::new(plan().store, crate::id::StreamId::new(name).unwrap())
}

/// A checkpoint of one source event and one target event.
fn checkpoint(source: &str, target: &str) -> VerifiedCheckpoint {
    VerifiedCheckpoint {
        source: stream(source),
        target: stream(target),
        source_seq: 1,
        source_events: Revision(1),
        target_events: Revision(1),
        hash: RollingHash::new(),
        counts: EventCounts::default(),
    }
}

/// One entry of each kind, by name.
fn entries() -> Vec<(&'static str, JournalEntry)> {
    let reason = || "r".to_owned();
    let checkpoint = Box::new(checkpoint("s", "s"));
    let so_far = Box::default();
    vec![
        ("claim", JournalEntry::Claim),
        ("planned", JournalEntry::Planned { plan: plan() }),
        (
            "batch",
            JournalEntry::Batch {
                number: 0,
                objects: vec![],
                backup: None,
                so_far,
            },
        ),
        ("verified", JournalEntry::Verified { checkpoint }),
        (
            "stopped",
            JournalEntry::Stopped {
                step: Step::Copy,
                requested: false,
                reason: reason(),
                statistics: None,
            },
        ),
        (
            "rolling back",
            JournalEntry::RollingBack {
                reason: reason(),
                cancels: false,
            },
        ),
        (
            "roll back refused",
            JournalEntry::RollBackRefused { reason: reason() },
        ),
        ("completed", finished(Outcome::Completed)),
        ("rolled back", finished(Outcome::RolledBack)),
        ("abandoned", finished(Outcome::Abandoned)),
        ("cancelled", finished(Outcome::Cancelled)),
    ]
}

#[test]
fn a_checkpoint_is_of_one_source_and_one_target() {
    let checkpoint = checkpoint("s", "t");
    for (source, target, is) in [("s", "t", true), ("s", "u", false), ("r", "t", false)] {
        let (source, target) = (stream(source), stream(target));
        assert_eq!(checkpoint.is_of(&source, &target), is, "{source} {target}");
    }
}

/// One key's records.
#[derive(Debug, Default)]
struct OneKey(Mutex<Vec<Bytes>>);

#[async_trait]
impl Records for OneKey {
    async fn latest(&self, key: &RecordKey) -> Result<Option<Record>> {
        let count = self.0.lock().unwrap().len() as u64;
        match count.checked_sub(1) {
            Some(last) => self.get(key, last).await,
            None => Ok(None),
        }
    }

    async fn get(&self, _: &RecordKey, number: u64) -> Result<Option<Record>> {
        let bodies = self.0.lock().unwrap();
        let body = bodies.get(usize::try_from(number).unwrap()).cloned();
        Ok(body.map(|body| Record { number, body }))
    }

    async fn put(&self, _: &RecordKey, number: u64, body: Bytes) -> Result<()> {
        let mut bodies = self.0.lock().unwrap();
        if bodies.len() as u64 != number {
            return Err(Error::new(ErrorKind::Conflict { actual: None }, "taken"));
        }
        bodies.push(body);
        Ok(())
    }

    fn list(&self, _: RecordCollection) -> BoxStream<'_, Result<RecordKey>> {
        futures::stream::empty().boxed()
    }
}

#[tokio::test]
async fn what_this_process_appends_itself_takes_nothing_over() {
    let records: Arc<dyn Records> = Arc::new(OneKey::default());
    let journal = async |holder| {
        let (records, holder) = (Arc::clone(&records), HolderId::new(holder).unwrap());
        let environment = Environment::system();
        let journal = Journal::open(records, environment, plan().migration, holder);
        journal.await.unwrap()
    };
    let mut ours = journal("ours").await;
    ours.claim().await.unwrap();
    let plan = JournalEntry::Planned { plan: plan() };
    ours.append(plan).await.unwrap();
    let watch = ours.watch();
    for _ in 0..3 {
        let checkpoint = Box::new(checkpoint("s", "t"));
        let verified = JournalEntry::Verified { checkpoint };
        ours.append(verified).await.unwrap();
    }
    watch.ensure_ours().await.unwrap();
    journal("theirs").await.claim().await.unwrap();
    let error = watch.ensure_ours().await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Fenced);
    assert!(error.to_string().contains("theirs"), "{error}");
}

fn state(names: &[&str]) -> JournalState {
    let mut state = JournalState::default();
    for name in names {
        let (_, entry) = entries().into_iter().find(|(n, _)| n == name).unwrap();
        let epoch = match entry {
            JournalEntry::Claim => state.epoch.0 + 1,
            _ => state.epoch.0,
        };
        state.apply(&record(epoch, entry)).unwrap();
    }
    state
}

#[test]
fn every_record_after_every_state_is_taken_or_refused() {
    let states: [&[&str]; 9] = [
        &[],
        &["claim"],
        &["claim", "planned"],
        &["claim", "planned", "batch"],
        &["claim", "planned", "stopped"],
        &["claim", "planned", "rolling back"],
        &["claim", "planned", "rolling back", "roll back refused"],
        &["claim", "planned", "completed"],
        &["claim", "planned", "rolling back", "rolled back"],
    ];
    let mut table = String::new();
    for names in states {
        let before = state(names);
        table += &format!("{} [{}]\n", names.join(", "), before.status());
        for (name, entry) in entries() {
            let epoch = before.epoch.0 + u64::from(matches!(entry, JournalEntry::Claim));
            let mut after = before.clone();
            let outcome = match after.apply(&record(epoch, entry)) {
                Ok(()) => format!("{}", after.status()),
                Err(illegal) => {
                    assert_eq!(after, before, "a refused record changes nothing");
                    format!("refused: {illegal}")
                }
            };
            table += &format!("  + {name} -> {outcome}\n");
        }
    }
    insta::assert_snapshot!(table);
}

#[test]
fn a_stop_on_request_is_a_pause_and_every_record_has_the_next_number() {
    let mut state = state(&["claim", "planned"]);
    assert_eq!(state.next_number, 2);
    let stopped = JournalEntry::Stopped {
        step: Step::Copy,
        requested: true,
        reason: String::new(),
        statistics: None,
    };
    state.apply(&record(1, stopped)).unwrap();
    assert_eq!(state.status(), MigrationStatus::Paused);
    state.apply(&record(2, JournalEntry::Claim)).unwrap();
    assert_eq!(state.status(), MigrationStatus::InProgress);
    assert_eq!(state.next_number, 4);
}

#[test]
fn the_counts_of_a_stop_are_known_until_the_next_batch() {
    let mut state = state(&["claim", "planned", "batch"]);
    assert_eq!(state.statistics, None);
    let counted = Statistics {
        migrated: 4,
        failed: 2,
        ..Statistics::default()
    };
    let stopped = |statistics| JournalEntry::Stopped {
        step: Step::Copy,
        requested: false,
        reason: String::new(),
        statistics,
    };
    let known = Some(Box::new(counted));
    state.apply(&record(1, stopped(known.clone()))).unwrap();
    assert_eq!(state.statistics, known);
    // an undo that stops counts nothing
    state.apply(&record(2, JournalEntry::Claim)).unwrap();
    state.apply(&record(2, stopped(None))).unwrap();
    assert_eq!(state.statistics, known);
    let (_, batch) = entries().swap_remove(2);
    state.apply(&record(2, batch)).unwrap();
    assert_eq!(state.statistics, None);
}

#[test]
fn a_stop_without_counts_is_read_and_one_with_counts_keeps_them() {
    let written = record(
        1,
        JournalEntry::Stopped {
            step: Step::Copy,
            requested: false,
            reason: "r".to_owned(),
            statistics: Some(Box::default()),
        },
    );
    let json = serde_json::to_string(&written).unwrap();
    insta::assert_snapshot!("format_1_stopped_with_counts", json);
    assert_eq!(
        serde_json::from_str::<JournalRecord>(&json).unwrap(),
        written
    );
}

#[test]
fn a_record_of_another_epoch_is_refused() {
    let before = state(&["claim", "planned", "claim"]);
    for (epoch, entry) in [
        (
            1,
            JournalEntry::Stopped {
                step: Step::Copy,
                requested: false,
                reason: String::new(),
                statistics: None,
            },
        ),
        (3, finished(Outcome::Completed)),
        (2, JournalEntry::Claim),
        (4, JournalEntry::Claim),
    ] {
        let refused = before.clone().apply(&record(epoch, entry)).unwrap_err();
        assert!(
            matches!(refused, IllegalRecord::Epoch { .. }),
            "{refused:?}"
        );
    }
}

#[test]
fn format_1_stays_readable() {
    for (name, entry) in entries() {
        let record = record(1, entry);
        let json = serde_json::to_string(&record).unwrap();
        assert_eq!(
            serde_json::from_str::<JournalRecord>(&json).unwrap(),
            record
        );
        insta::assert_snapshot!(format!("format_1_{}", name.replace(' ', "_")), json);
    }
}
