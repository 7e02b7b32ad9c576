//! All fakes together.

use std::sync::Arc;

use esm_core::backup::BackupService;
use esm_core::clock::Environment;
use esm_core::event::Event;
use esm_core::id::{ObjectId, StoreId, StreamId, StreamRef};
use esm_core::migration::MigrationService;
use esm_core::object::ObjectDocument;
use esm_core::router::{AppendError, Appended, ExpectedRevision, ObjectClient, ReadPosition};
use esm_core::store::{
    Append, BackupProvider, CellKind, Close, EventStore, LockProvider, RecordKey, Records,
    RecordsExt as _,
};
use esm_core::{Error, Result};
use futures::TryStreamExt as _;

use super::{MemoryBackups, MemoryEventStore, MemoryLocks, MemoryRecords};

/// One storage in memory, with everything that a migration needs, and the time and randomness of a
/// test.
///
/// Its content survives the crash of any simulated process: give each process its own clone. Its
/// own handles meet no fault. A [`faults::Actor`](crate::faults::Actor) gives out the same services
/// with the faults of its plan.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()
/// # .unwrap().block_on(async {
/// use esm_core::id::ObjectId;
/// use esm_testkit::memory::MemoryWorld;
/// use esm_testkit::{event, ids};
///
/// let world = MemoryWorld::new(esm_testkit::environment(1));
/// let order: ObjectId = "order/1".parse()?;
/// let first = world.create_object(&order, [vec![event("e1", "Placed")]]).await?;
/// assert!(world.migration_service().migrate(order.clone()).execute().await?.is_success());
///
/// world.append(&order, vec![event("e2", "Paid")]).await?;
/// assert_eq!(ids(&world.read(&order).await?), ["e1", "e2"]);
///
/// let active = world.document(&order).await?.active;
/// assert_eq!(world.close_of(&first.stream).and_then(|close| close.target), Some(active.clone()));
/// assert_eq!(ids(&world.events(&active.stream)), ["e1", "e2"]);
/// # Ok::<(), esm_core::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone)]
pub struct MemoryWorld {
    /// The time, and the source of ids.
    pub environment: Environment,
    /// The streams.
    pub event_store: MemoryEventStore,
    /// The documents, journals and the index.
    pub records: MemoryRecords,
    /// The locks.
    pub locks: MemoryLocks,
    /// The backups and archives.
    pub backups: MemoryBackups,
}

impl MemoryWorld {
    /// Returns an empty world.
    pub fn new(environment: Environment) -> Self {
        Self {
            event_store: MemoryEventStore::new(StoreId::from_uuid(environment.uuid_v4())),
            records: MemoryRecords::new(),
            locks: MemoryLocks::new(Arc::clone(&environment.clock)),
            backups: MemoryBackups::new(),
            environment,
        }
    }

    /// Returns the same storage with other locks, which no other process uses. So their user
    /// acquires every lock.
    #[must_use]
    pub fn with_own_locks(&self) -> Self {
        Self {
            locks: MemoryLocks::new(Arc::clone(&self.environment.clock)),
            ..self.clone()
        }
    }

    /// Returns another event store, which is empty, as a target of migrations.
    pub fn another_event_store(&self) -> MemoryEventStore {
        MemoryEventStore::new(StoreId::from_uuid(self.environment.uuid_v4()))
    }

    /// Returns the event store, as the saga takes it.
    pub fn event_store(&self) -> Arc<dyn EventStore> {
        Arc::new(self.event_store.clone())
    }

    /// Returns the records, as the saga takes them.
    pub fn records(&self) -> Arc<dyn Records> {
        Arc::new(self.records.clone())
    }

    /// Returns the locks, as the saga takes them.
    pub fn locks(&self) -> Arc<dyn LockProvider> {
        Arc::new(self.locks.clone())
    }

    /// Returns the backups, as the saga takes them.
    pub fn backups(&self) -> Arc<dyn BackupProvider> {
        Arc::new(self.backups.clone())
    }

    /// Returns a service that migrates the objects of this world, with its backups.
    pub fn migration_service(&self) -> MigrationService {
        let service = MigrationService::new(self.event_store(), self.records(), self.locks());
        let service = service.with_backups(self.backups());
        service.with_environment(self.environment.clone())
    }

    /// Returns a service that backs up and restores the objects of this world.
    pub fn backup_service(&self) -> BackupService {
        BackupService::new(self.event_store(), self.records(), self.backups())
            .with_environment(self.environment.clone())
    }

    /// Returns the client of an application of this world.
    pub fn client(&self) -> ObjectClient {
        let environment = self.environment.clone();
        ObjectClient::new(self.records(), self.event_store(), environment)
    }

    /// Creates an object with a document and a stream of these cells, each with its events, and
    /// returns the stream.
    ///
    /// # Errors
    /// `Conflict` when the object exists; `Invalid` for a cell without events.
    pub async fn create_object(
        &self,
        object: &ObjectId,
        cells: impl IntoIterator<Item = Vec<Event>> + Send,
    ) -> Result<StreamRef> {
        let stream = StreamRef::new(self.event_store.id(), StreamId::first(object));
        let created_at = self.environment.clock.now();
        let document = ObjectDocument::new(object.clone(), stream.clone(), created_at);
        let key = RecordKey::Document(object.clone());
        self.records.put_as(&key, 0, &document).await?;
        for events in cells.into_iter().collect::<Vec<_>>() {
            self.append_cell(&stream.stream, events).await?;
        }
        Ok(stream)
    }

    /// Appends events to the active stream of an object, as an application does.
    ///
    /// # Errors
    /// As [`ObjectClient::append`].
    pub async fn append(
        &self,
        object: &ObjectId,
        events: Vec<Event>,
    ) -> Result<Appended, AppendError> {
        let client = self.client();
        client.append(object, ExpectedRevision::Any, events).await
    }

    /// Appends one cell of events at the tail of a stream, whether or not it is an object's.
    ///
    /// # Errors
    /// As [`EventStore::append`].
    pub async fn append_cell(&self, stream: &StreamId, events: Vec<Event>) -> Result<()> {
        let events = events.into_iter().map(Into::into).collect();
        let tail = self.event_store.tail(stream).await?;
        let append = Append::events(self.environment.commit_id(), events);
        self.event_store.append(stream, &tail, append).await?;
        Ok(())
    }

    /// Returns the newest document of an object.
    ///
    /// # Errors
    /// `NotFound` when there is none; `Corrupt` when it cannot be read.
    pub async fn document(&self, object: &ObjectId) -> Result<ObjectDocument> {
        let key = RecordKey::Document(object.clone());
        let newest = self.records.latest_as(&key).await?;
        let missing = || Error::not_found(format!("no document of {object}"));
        newest.map(|(_, document)| document).ok_or_else(missing)
    }

    /// Returns all events of an object, in order, as applications read them.
    ///
    /// # Errors
    /// As [`ObjectClient::read`].
    pub async fn read(&self, object: &ObjectId) -> Result<Vec<Event>> {
        let client = self.client();
        let recorded = client.read(object, ReadPosition::Start);
        let events = recorded.map_ok(|recorded| recorded.event);
        events.try_collect().await
    }

    /// Returns all events of a stream, in order; none when it does not exist.
    pub fn events(&self, stream: &StreamId) -> Vec<Event> {
        let cells = self.event_store.snapshot(stream);
        (cells.into_iter().flat_map(|cell| cell.events))
            .map(|copied| copied.event)
            .collect()
    }

    /// Returns the Close of a stream, if it has one.
    pub fn close_of(&self, stream: &StreamId) -> Option<Close> {
        match self.event_store.snapshot(stream).pop()?.header.kind {
            CellKind::Close(close) => Some(close),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::{At, Fault, FaultPlan, Gate};
    use crate::{environment, event};
    use esm_core::ErrorKind;

    #[tokio::test(start_paused = true)]
    async fn clones_share_the_content() -> Result<()> {
        let world = MemoryWorld::new(environment(1));
        let object: ObjectId = "order/1".parse()?;
        let missing = world.document(&object).await.unwrap_err();
        assert_eq!(*missing.kind(), ErrorKind::NotFound);
        let event = event("e", "T");
        let cells = [vec![event.clone()], vec![event.clone()]];
        let stream = world.clone().create_object(&object, cells).await?;
        assert_eq!(world.events(&stream.stream), [event.clone(), event]);
        assert_eq!(world.document(&object).await?.active, stream);
        Ok(())
    }

    #[tokio::test(start_paused = true)]
    async fn own_locks_keep_nobody_else_from_anything() -> Result<()> {
        let world = MemoryWorld::new(environment(1));
        let object: ObjectId = "order/1".parse()?;
        world.create_object(&object, []).await?;
        let gate = Gate::new();
        let stalled = Fault::Stall(gate.clone());
        let plan = FaultPlan::new().with(At::Named("event_store.close", 0), stalled);
        let holder = plan.actor("holder").migration_service(&world);
        let first = tokio::spawn(holder.migrate(object.clone()).execute());
        gate.reached().await;

        let locked = world.migration_service().migrate(object.clone());
        let refused = locked.execute().await.unwrap_err();
        assert!(matches!(refused.kind(), ErrorKind::LockHeld(_)));
        let unlocked = world.with_own_locks().migration_service();
        assert!(unlocked.migrate(object).execute().await?.is_success());
        gate.open();
        let late = first.await.expect("it ends");
        assert!(!late.is_ok_and(|result| result.is_success()));
        Ok(())
    }
}
