//! Cutovers made by hand, and what an application reads and appends.

use std::collections::BTreeSet;
use std::sync::Arc;

use esm_core::Result;
use esm_core::event::{Event, Position, Revision, Schema};
use esm_core::id::{Fingerprint, MigrationId, StoreId, StreamId, StreamName, StreamRef};
use esm_core::router::{AppendError, Appended, ObjectClient, ObjectReader, ReadPosition};
use esm_core::store::{Append, CellEvent, Close, EventStore, Origin, PageLimit, Stores, Tail};
use esm_testkit::memory::MemoryEventStore;
use esm_testkit::{Rule, Rules, ids};
use futures::TryStreamExt as _;

use crate::world::{World, event};

/// How a migration made by hand ends.
pub(crate) struct Cutover {
    /// What the target holds of the source's events: as many as this, whatever they are.
    pub(crate) target_events: u64,
    pub(crate) continues: bool,
    pub(crate) retired: Vec<Schema>,
    /// Leaves the document behind, as a migrator that died.
    pub(crate) dies: bool,
    /// Where the target lives, if not at home.
    pub(crate) store: Option<MemoryEventStore>,
    /// Where the target says that it comes from.
    pub(crate) says: Says,
}

/// Where a target says that it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Says {
    TheTruth,
    Nothing,
    AnotherSource,
    AnotherMigration,
}

impl Default for Cutover {
    fn default() -> Self {
        Self {
            target_events: 0,
            continues: true,
            retired: Vec::new(),
            dies: true,
            store: None,
            says: Says::TheTruth,
        }
    }
}

pub(crate) fn target_of(events: u64) -> Cutover {
    Cutover {
        target_events: events,
        ..Cutover::default()
    }
}

pub(crate) fn events(ids: &[&str]) -> Vec<Event> {
    ids.iter().map(event).collect()
}

pub(crate) fn at(stream: &StreamRef, revision: u64) -> Position {
    Position {
        stream: stream.stream.clone(),
        revision: Revision(revision),
    }
}

impl World {
    /// With one order, whose stream has cells of these events.
    pub(crate) async fn with_cells(cells: &[&[&str]]) -> Result<(Self, StreamRef)> {
        let world = Self::new();
        let cells = cells.iter().map(|ids| events(ids));
        let stream = world.storage.create_object(&world.order, cells).await?;
        Ok((world, stream))
    }

    /// A client that knows another store too.
    pub(crate) fn client_knowing(&self, other: Arc<dyn EventStore>) -> ObjectClient {
        let stores = Stores::new(self.storage.event_store()).with(other);
        let environment = self.storage.environment.clone();
        ObjectClient::new(self.storage.records(), stores, environment)
    }

    /// Appends events of these ids to the order, as an application that has cached nothing does.
    pub(crate) async fn append_ids(&self, ids: &[&str]) -> Result<Appended, AppendError> {
        self.storage.append(&self.order, events(ids)).await
    }

    pub(crate) fn reader(&self) -> ObjectReader {
        ObjectReader::new(self.storage.records(), self.storage.event_store())
    }

    /// The ids of the events of a stream, as stored.
    pub(crate) fn stored(&self, stream: &StreamRef) -> Vec<String> {
        ids(&self.storage.events(&stream.stream))
    }

    /// The ids of the object's events, as read.
    pub(crate) async fn read_from(&self, from: ReadPosition) -> Result<Vec<String>> {
        let ids = self.reader().read(&self.order, from);
        let ids = ids.map_ok(|recorded| recorded.event.id.to_string());
        ids.try_collect().await
    }

    /// Copies and closes a source, as a migration does, and returns the target.
    pub(crate) async fn cut_over(&self, source: &StreamRef, cutover: Cutover) -> Result<StreamRef> {
        let migration = self.storage.environment.migration_id();
        let store = cutover.store.as_ref().unwrap_or(&self.storage.event_store);
        let target = target_id(store.id(), source, migration);
        let tail = self.storage.event_store.tail(&source.stream).await?;
        let mut origin = Some(Origin {
            source: source.clone(),
            migration,
            attempt: 0,
            fingerprint: Fingerprint::new("by hand").unwrap(),
            retired: BTreeSet::from_iter(cutover.retired.clone()),
            accepted: Default::default(),
            restores: None,
        });
        match (cutover.says, &mut origin) {
            (Says::AnotherSource, Some(origin)) => origin.source = target.clone(),
            (Says::AnotherMigration, Some(origin)) => {
                origin.migration = self.storage.environment.migration_id();
            }
            (Says::Nothing, origin) => *origin = None,
            (Says::TheTruth, _) | (_, None) => {}
        }
        let copied = (0..cutover.target_events).map(|n| event(format!("{}~{n}", target.stream)));
        let first = Append {
            commit: self.storage.environment.commit_id(),
            origin,
            cursor: Some(tail.next_revision()),
            events: copied.map(CellEvent::from).collect(),
        };
        store
            .append(&target.stream, &Tail::default(), first)
            .await?;
        let close = Close {
            target: Some(target.clone()),
            events: tail.next_revision(),
            target_events: Revision(cutover.target_events),
            migration,
            continues: cutover.continues,
            target_last: None,
        };
        self.close(source, close).await?;
        if !cutover.dies {
            self.client().load(&self.order).await?;
        }
        Ok(target)
    }

    /// Closes a stream at its tail.
    pub(crate) async fn close(&self, source: &StreamRef, close: Close) -> Result<()> {
        let store: &dyn EventStore = &self.storage.event_store;
        let tail = store.tail(&source.stream).await?;
        let commit = self.storage.environment.commit_id();
        store.close(&source.stream, &tail, commit, close).await?;
        Ok(())
    }
}

pub(crate) fn target_id(store: StoreId, source: &StreamRef, migration: MigrationId) -> StreamRef {
    let name = StreamName::new("target").unwrap();
    StreamRef::new(store, StreamId::target(&name, migration, source, 0))
}

/// A page that holds everything.
pub(crate) fn every() -> PageLimit {
    PageLimit {
        cells: usize::MAX,
        bytes: u64::MAX,
    }
}

/// Rules for events of the type `T`; others stay as they are.
pub(crate) fn rules(rule: Rule) -> Arc<Rules> {
    Arc::new(Rules::new([("T", rule)]))
}

pub(crate) fn shared(store: &MemoryEventStore) -> Arc<dyn EventStore> {
    Arc::new(store.clone())
}
