//! A migration by the rules, a step at a time, so that anything can happen between two of them.

use std::collections::BTreeSet;
use std::sync::Arc;

use esm_core::event::{Event, Revision, Schema};
use esm_core::id::{MigrationId, ObjectId, StreamRef};
use esm_core::migration::MigrationPhase;
use esm_core::store::{
    Append, CellEvent, CellHeader, Close, EventStore as _, Fence, Origin, ReadFrom, Restores, Tail,
};
use esm_core::transform::{EventTransformer, Mapper};
use esm_core::{ErrorKind, Result};
use esm_core::{protocol::routing::RoutingEntry, router::RoutingTable};
use esm_testkit::memory::{MemoryEventStore, MemoryWorld};

use super::cutover::*;
use crate::world::World;

/// One attempt at one stream.
#[derive(Debug, Clone)]
pub(crate) struct ByHand {
    world: MemoryWorld,
    object: ObjectId,
    pub(crate) store: MemoryEventStore,
    pub(crate) entry: RoutingEntry,
    mapper: Mapper,
    pub(crate) retired: BTreeSet<Schema>,
    pub(crate) accepted: BTreeSet<Schema>,
    pub(crate) restores: Option<Box<Restores>>,
}

impl ByHand {
    /// Of a stream with so many Closes before it. Retires what the transformer says.
    pub(crate) fn new(
        f: &World,
        source: &StreamRef,
        generation: u64,
        transformer: Arc<dyn EventTransformer>,
    ) -> Self {
        Self::into(f, source, generation, transformer, &f.storage.event_store)
    }

    /// Into another store.
    pub(crate) fn into(
        f: &World,
        source: &StreamRef,
        generation: u64,
        transformer: Arc<dyn EventTransformer>,
        store: &MemoryEventStore,
    ) -> Self {
        let migration = f.storage.environment.migration_id();
        Self {
            world: f.storage.clone(),
            object: f.order.clone(),
            store: store.clone(),
            entry: RoutingEntry {
                migration,
                generation,
                source: source.clone(),
                target: target_id(store.id(), source, migration),
                phase: MigrationPhase::Normal,
            },
            retired: transformer.retired_schemas(),
            accepted: BTreeSet::new(),
            restores: None,
            mapper: Mapper::new(transformer),
        }
    }

    /// Retires these schemas too.
    pub(crate) fn retiring(mut self, schemas: impl IntoIterator<Item = Schema>) -> Self {
        self.retired.extend(schemas);
        self
    }

    /// Accepts what it retires unchanged.
    pub(crate) fn accepting(mut self) -> Self {
        self.accepted = self.retired.clone();
        self
    }

    pub(crate) fn target(&self) -> &StreamRef {
        &self.entry.target
    }

    pub(crate) fn migration(&self) -> MigrationId {
        self.entry.migration
    }

    fn table(&self) -> RoutingTable {
        RoutingTable::new(self.world.records())
    }

    /// Publishes a phase, and that the object has one.
    pub(crate) async fn publish(&self, phase: MigrationPhase) {
        let (table, object) = (self.table(), &self.object);
        let objects = std::slice::from_ref(object);
        table.enlist(self.migration(), objects).await.unwrap();
        table.advance_to(object, &self.entry, phase).await.unwrap();
    }

    /// What the source's events become, those of each event together.
    fn images(&self) -> Vec<Vec<Event>> {
        let events = self.world.events(&self.entry.source.stream);
        let map = |(revision, event): (u64, &Event)| {
            let mapped = self.mapper.map(&self.object, Revision(revision), event);
            mapped.unwrap().outputs
        };
        (0..).zip(&events).map(map).collect()
    }

    /// Copies what the target does not have yet, by one cell; returns the tails that it saw, the
    /// target's first (R1).
    pub(crate) async fn copy(&self) -> Result<(Tail, Tail)> {
        self.copy_until(Revision(u64::MAX)).await
    }

    /// As [`copy`](Self::copy), and nothing from this revision on.
    pub(crate) async fn copy_until(&self, end: Revision) -> Result<(Tail, Tail)> {
        let target = &self.target().stream;
        let target_tail = self.store.tail(target).await?;
        let source_tail = self.source_tail().await;
        let cursor = match &target_tail.last {
            None => Revision::START,
            Some(last) => last.cursor().expect("the target is live: S must be closed"),
        };
        let end = source_tail.next_revision().min(end);
        if cursor == end && !target_tail.is_empty() {
            return Ok((target_tail, source_tail));
        }
        let images = self.images();
        let pending = (cursor.0..end.0).flat_map(|revision| {
            let outputs = images[revision as usize].clone();
            outputs.into_iter().map(move |event| CellEvent {
                event,
                source_revision: Some(Revision(revision)),
            })
        });
        let append = Append {
            commit: self.world.environment.commit_id(),
            origin: target_tail.is_empty().then(|| self.origin()),
            cursor: Some(end),
            events: pending.collect(),
        };
        let target_tail = self.store.append(target, &target_tail, append).await?;
        Ok((target_tail, source_tail))
    }

    fn origin(&self) -> Origin {
        Origin {
            source: self.entry.source.clone(),
            migration: self.migration(),
            attempt: 0,
            fingerprint: self.mapper.fingerprint(),
            retired: self.retired.clone(),
            accepted: self.accepted.clone(),
            restores: self.restores.clone(),
        }
    }

    async fn source_tail(&self) -> Tail {
        let source = &self.entry.source.stream;
        self.world.event_store.tail(source).await.unwrap()
    }

    /// Copies the rest, compares every event (I4), and closes at exactly the compared tail, again
    /// until no concurrent append wins. The document stays behind.
    pub(crate) async fn close(&self) {
        loop {
            let Ok((target_tail, source_tail)) = self.copy().await else {
                continue;
            };
            let images = self.images();
            let n = source_tail.next_revision();
            let expected: Vec<_> = images.into_iter().take(n.0 as usize).flatten().collect();
            let m = target_tail.next_revision();
            let copied = self.copied().await;
            assert_eq!(copied[..m.0 as usize], expected, "I4");
            let close = Close {
                target: Some(self.target().clone()),
                events: n,
                target_events: m,
                migration: self.migration(),
                continues: true,
                target_last: None,
            };
            let (commit, source) = (
                self.world.environment.commit_id(),
                &self.entry.source.stream,
            );
            let store = &self.world.event_store;
            match store.close(source, &source_tail, commit, close).await {
                Ok(_) => return,
                Err(error) => assert!(
                    matches!(error.kind(), ErrorKind::Conflict { .. }),
                    "{error}"
                ),
            }
        }
    }

    /// The target's events.
    pub(crate) async fn copied(&self) -> Vec<Event> {
        let cells = self.store.snapshot(&self.target().stream);
        let events = cells.into_iter().flat_map(|cell| cell.events);
        events.map(|copied| copied.event).collect()
    }

    /// The last cell of the target.
    pub(crate) async fn last(&self) -> Option<CellHeader> {
        self.store.tail(&self.target().stream).await.unwrap().last
    }

    /// Fences the source and discards the target (R17). Phases stay as they are.
    pub(crate) async fn undo(&self) {
        loop {
            let tail = self.source_tail().await;
            let fence = Fence {
                target: self.target().stream.clone(),
                migration: self.migration(),
            };
            let (commit, source) = (
                self.world.environment.commit_id(),
                &self.entry.source.stream,
            );
            let store = &self.world.event_store;
            if store.fence(source, &tail, commit, fence).await.is_ok() {
                break;
            }
        }
        self.store.discard(&self.target().stream).await.unwrap();
    }

    /// Whether every event that the target got through copying is the image of the source's.
    pub(crate) async fn assert_covers(&self, revision: u64) {
        let images = self.images();
        let expected: Vec<_> = images
            .into_iter()
            .take(revision as usize)
            .flatten()
            .collect();
        assert_eq!(self.copied().await, expected);
        let last = self.last().await.unwrap();
        assert_eq!(last.cursor(), Some(Revision(revision)));
        let from = ReadFrom::Seq(0);
        let page = self.store.read(&self.target().stream, from, every()).await;
        let cells = page.unwrap().cells;
        let says = |c: &CellEvent| c.source_revision.is_some();
        assert!(cells.iter().flat_map(|c| &c.events).all(says));
    }
}
