//! Where the model asks the code that migrates real streams.
//!
//! The state of the model is small numbers; what production decides by is ids, closes and documents.
//! This is the only file that knows both. It only translates: a decision that is taken here would
//! not be checked.

use std::collections::HashMap;

use esm_core::event::Revision;
use esm_core::id::{
    CommitId, Epoch, HolderId, MigrationId, ObjectId, StoreId, StreamId, StreamName, StreamRef,
};
use esm_core::migration::PlannedMigration;
use esm_core::object::ChainEnd;
use esm_core::object::ObjectDocument;
use esm_core::protocol::decisions::{self, Action, Observed, UndoAction, Verified};
use esm_core::protocol::journal::{JournalEntry, JournalRecord, JournalState, Outcome};
use esm_core::protocol::plan::{BulkOptions, CopyOptions};
use esm_core::store::{self, Tail};
use jiff::Timestamp;
use uuid::Uuid;

use crate::scope::Scope;
use crate::twin::Twin;
use crate::world::{Close, Document, Entry, Record, Run, Sight, Slot};

/// Source events that the last round before a Close may have to copy and compare: few, so that the
/// model reaches both sides of the threshold.
pub(crate) const FINAL_ROUND: u8 = 1;

/// The ids that production knows the model's numbers by.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    object: ObjectId,
    migrations: Vec<MigrationId>,
    streams: Vec<StreamRef>,
    slots: HashMap<StreamRef, Slot>,
    /// By migration, source and attempt.
    targets: HashMap<(u8, Slot, u8), Slot>,
    plan: Box<PlannedMigration>,
    holder: HolderId,
}

impl Names {
    /// Names for everything that may come to be in this scope.
    pub(crate) fn new(scope: &Scope, twin: Option<Twin>) -> esm_core::Result<Self> {
        let object: ObjectId = "order/1".parse()?;
        let store = StoreId::from_uuid(Uuid::from_u128(1));
        let first = StreamRef::new(store, StreamId::first(&object));
        let count = scope.migrations.len();
        let migrations: Vec<_> = (0..count)
            .map(|m| MigrationId::from_uuid(Uuid::from_u128(100 + m as u128)))
            .collect();
        let mut names = Self {
            plan: plan()?,
            object,
            migrations,
            streams: vec![first.clone()],
            slots: HashMap::from([(first, 0)]),
            targets: HashMap::new(),
            holder: HolderId::new("model")?,
        };
        // every source that a migration may have, with the migrations that led to it
        let mut sources = vec![(0, Vec::new())];
        while let Some((source, through)) = sources.pop() {
            for migration in (0..count as u8).filter(|m| !through.contains(m)) {
                if !scope.competing && through.last().is_some_and(|last| *last > migration) {
                    continue;
                }
                for attempt in 0..scope.attempts {
                    let target = names.name(twin, migration, source, attempt)?;
                    names.targets.insert((migration, source, attempt), target);
                    let through = through.iter().copied().chain([migration]).collect();
                    sources.push((target, through));
                }
            }
        }
        Ok(names)
    }

    /// The id of an attempt's target, by the code that gives it in production.
    fn name(
        &mut self,
        twin: Option<Twin>,
        migration: u8,
        source: Slot,
        attempt: u8,
    ) -> esm_core::Result<Slot> {
        let name = StreamName::new("order-1")?;
        let source_ref = &self.streams[usize::from(source)];
        let id = match twin {
            Some(Twin::TargetsNumberedAnew) => StreamId::new(format!("order-1.{attempt}"))?,
            _ => StreamId::target(
                &name,
                self.migrations[usize::from(migration)],
                source_ref,
                u64::from(attempt),
            ),
        };
        let stream = StreamRef::new(source_ref.store, id);
        let next = self.streams.len() as Slot;
        let slot = *self.slots.entry(stream.clone()).or_insert(next);
        if slot == next {
            self.streams.push(stream);
        }
        Ok(slot)
    }

    /// Number of streams that there may be.
    pub(crate) fn streams(&self) -> usize {
        self.streams.len()
    }

    /// The target of an attempt; none beyond the scope's bound.
    pub(crate) fn target(&self, migration: u8, source: Slot, attempt: u8) -> Option<Slot> {
        self.targets.get(&(migration, source, attempt)).copied()
    }

    fn stream(&self, slot: Slot) -> StreamRef {
        self.streams[usize::from(slot)].clone()
    }

    fn close(&self, close: Close) -> store::Close {
        store::Close {
            target: Some(self.stream(close.target)),
            events: revision(close.events),
            target_events: revision(close.target_events),
            migration: self.migrations[usize::from(close.migration)],
            continues: close.continues,
            // nothing that production decides here depends on the hint
            target_last: None,
        }
    }

    /// `decisions::next`: what a run does next. `source_events` counts all events that there are
    /// to copy: in a reverse migration they come from two streams.
    pub(crate) fn decide(
        &self,
        run: &Run,
        sight: &Sight,
        source_events: u8,
        target_state: decisions::TargetState,
    ) -> Action {
        let verified = run.compared.map(|(source_events, target_events)| Verified {
            source_events: revision(source_events),
            target_events: revision(target_events),
        });
        decisions::next(&Observed {
            target: self.stream(run.target),
            close: sight.source.close.map(|close| self.close(close)),
            fenced: sight.source.fenced,
            source_events: revision(source_events),
            target_state,
            compared: verified.map_or(Revision::START, |verified| verified.source_events),
            verified,
            document_names_source: sight.source.is_active,
            final_round: u64::from(FINAL_ROUND),
        })
    }

    /// `decisions::undo`: what an undo does next.
    pub(crate) fn decide_undo(&self, run: &Run, close: Option<Close>, fenced: bool) -> UndoAction {
        let close = close.map(|close| self.close(close));
        decisions::undo(close.as_ref(), fenced, &self.stream(run.target))
    }

    /// `ObjectDocument::follow`, over all these Closes: the next version of the document, if there
    /// is anything to write.
    pub(crate) fn follow(&self, document: &Document, closes: &[(Slot, Close)]) -> Option<Document> {
        let active = self.stream(document.active);
        let mut real = ObjectDocument::new(self.object.clone(), active, Timestamp::UNIX_EPOCH);
        let mut next = document.clone();
        for (closed, close) in closes {
            if real.follow(&self.stream(*closed), &self.close(*close)) {
                next.terminated.push((*closed, *close));
            }
        }
        next.active = self.slots[&real.active];
        next.version += 1;
        (next.active != document.active).then_some(next)
    }

    /// `ChainEnd::carry`: where an expected position lies after these Closes.
    pub(crate) fn carry(&self, closes: &[(Slot, Close)], end: Slot, events: u8) -> Option<u8> {
        let closes = closes
            .iter()
            .map(|(closed, close)| (self.stream(*closed), self.close(*close)))
            .collect();
        let chain = ChainEnd {
            closes,
            stream: self.stream(end),
            tail: Tail::default(),
        };
        chain.carry(revision(events)).map(|carried| carried.0 as u8)
    }

    /// The state of a whole journal, by `JournalState::apply`; `None` if one of its records is
    /// illegal.
    pub(crate) fn journal(&self, records: &[Record]) -> Option<JournalState> {
        let mut state = JournalState::default();
        for record in records {
            state.apply(&self.record(*record)).ok()?;
        }
        Some(state)
    }

    fn record(&self, record: Record) -> JournalRecord {
        let reason = String::new;
        let finished = |outcome| JournalEntry::Finished {
            outcome,
            statistics: Box::default(),
        };
        JournalRecord {
            format: JournalRecord::FORMAT,
            commit: CommitId::from_uuid(Uuid::from_u128(u128::from(record.run))),
            epoch: Epoch(u64::from(record.epoch)),
            holder: self.holder.clone(),
            at: Timestamp::UNIX_EPOCH,
            entry: match record.entry {
                Entry::Claim => JournalEntry::Claim,
                Entry::Planned => JournalEntry::Planned {
                    plan: self.plan.clone(),
                },
                Entry::RollingBack => JournalEntry::RollingBack {
                    reason: reason(),
                    cancels: false,
                },
                Entry::RollBackRefused => JournalEntry::RollBackRefused { reason: reason() },
                Entry::Completed => finished(Outcome::Completed),
                Entry::RolledBack => finished(Outcome::RolledBack),
            },
        }
    }
}

fn revision(count: u8) -> Revision {
    Revision(u64::from(count))
}

/// A plan, as a journal keeps it: `JournalState` requires one, and reads nothing in it.
fn plan() -> esm_core::Result<Box<PlannedMigration>> {
    let plan = serde_json::json!({
        "migration": Uuid::from_u128(100),
        "created_at": Timestamp::UNIX_EPOCH,
        "store": Uuid::from_u128(1),
        "scope": "all",
        "strategy": "copy_and_transform",
        "fingerprint": "f",
        "copy": CopyOptions::default(),
        "bulk": BulkOptions::default(),
        "rollback_on_failure": false,
        "again": false,
    });
    serde_json::from_value(plan)
        .map(Box::new)
        .map_err(|e| esm_core::Error::invalid("the model's plan is none").with_source(e))
}
