//! All fakes together.

use std::sync::Arc;

use esm_core::Result;
use esm_core::clock::Environment;
use esm_core::document::ObjectDocument;
use esm_core::event::Event;
use esm_core::id::{ObjectId, StoreId, StreamId, StreamRef};
use esm_core::store::{
    Append, BackupProvider, EventStore, LockProvider, RecordKey, Records, RecordsExt as _,
};

use super::{MemoryBackups, MemoryEventStore, MemoryLocks, MemoryRecords};

/// One storage in memory, with all that a migration needs.
///
/// What it holds survives the crash of any simulated process: give each process its own clone.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()
/// # .unwrap().block_on(async {
/// use esm_core::event::Event;
/// use esm_core::id::{EventId, EventType, ObjectId};
/// use esm_testkit::memory::MemoryWorld;
///
/// let environment = esm_testkit::environment(1);
/// let world = MemoryWorld::new(&environment);
/// let order: ObjectId = "order/1".parse()?;
/// let placed = Event::new(EventId::new("e1")?, EventType::new("Placed")?, "{}");
/// let stream = world.create_object(&environment, &order, [vec![placed.clone()]]).await?;
/// assert_eq!(world.events(&stream.stream), [placed]);
/// assert_eq!(world.document(&order).await?.expect("it exists").active, stream);
/// # Ok::<(), esm_core::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone)]
pub struct MemoryWorld {
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
    /// An empty world: draws its store id from this environment and lets locks expire by its clock.
    pub fn new(environment: &Environment) -> Self {
        Self {
            event_store: MemoryEventStore::new(StoreId::from_uuid(environment.uuid_v4())),
            records: MemoryRecords::new(),
            locks: MemoryLocks::new(Arc::clone(&environment.clock)),
            backups: MemoryBackups::new(),
        }
    }

    /// The event store, as the saga takes it.
    pub fn event_store(&self) -> Arc<dyn EventStore> {
        Arc::new(self.event_store.clone())
    }

    /// The records, as the saga takes them.
    pub fn records(&self) -> Arc<dyn Records> {
        Arc::new(self.records.clone())
    }

    /// The locks, as the saga takes them.
    pub fn locks(&self) -> Arc<dyn LockProvider> {
        Arc::new(self.locks.clone())
    }

    /// The backups, as the saga takes them.
    pub fn backups(&self) -> Arc<dyn BackupProvider> {
        Arc::new(self.backups.clone())
    }

    /// Creates an object with a document and a stream of these cells, each with its events, and
    /// returns the stream.
    ///
    /// # Errors
    /// `Conflict` when the object exists; `Invalid` for a cell without events.
    pub async fn create_object(
        &self,
        environment: &Environment,
        object: &ObjectId,
        cells: impl IntoIterator<Item = Vec<Event>> + Send,
    ) -> Result<StreamRef> {
        let stream = StreamRef::new(self.event_store.id(), StreamId::first(object));
        let created_at = environment.clock.now();
        let document = ObjectDocument::new(object.clone(), stream.clone(), created_at);
        let key = RecordKey::Document(object.clone());
        self.records.put_as(&key, 0, &document).await?;
        for events in cells.into_iter().collect::<Vec<_>>() {
            self.append(environment, &stream.stream, events).await?;
        }
        Ok(stream)
    }

    /// Appends one cell of events at the tail, as an application does.
    ///
    /// # Errors
    /// As [`EventStore::append`].
    pub async fn append(
        &self,
        environment: &Environment,
        stream: &StreamId,
        events: Vec<Event>,
    ) -> Result<()> {
        let events = events.into_iter().map(Into::into).collect();
        let tail = self.event_store.tail(stream).await?;
        let append = Append::events(environment.commit_id(), events);
        self.event_store.append(stream, &tail, append).await?;
        Ok(())
    }

    /// The newest document of an object.
    ///
    /// # Errors
    /// `Corrupt` when it cannot be read.
    pub async fn document(&self, object: &ObjectId) -> Result<Option<ObjectDocument>> {
        let key = RecordKey::Document(object.clone());
        Ok(self.records.latest_as(&key).await?.map(|(_, doc)| doc))
    }

    /// All events of a stream, in order; empty when it does not exist.
    pub fn events(&self, stream: &StreamId) -> Vec<Event> {
        let cells = self.event_store.snapshot(stream);
        (cells.into_iter().flat_map(|cell| cell.events))
            .map(|copied| copied.event)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment;
    use esm_core::id::{EventId, EventType};

    #[tokio::test(start_paused = true)]
    async fn clones_share_the_content() -> Result<()> {
        let environment = environment(1);
        let world = MemoryWorld::new(&environment);
        let object: ObjectId = "order/1".parse()?;
        let event = Event::new(EventId::new("e")?, EventType::new("T")?, "{}");
        let cells = [vec![event.clone()], vec![event.clone()]];
        let stream = world
            .clone()
            .create_object(&environment, &object, cells)
            .await?;
        assert_eq!(world.events(&stream.stream), [event.clone(), event]);
        let document = world.document(&object).await?;
        assert_eq!(document.map(|d| d.active), Some(stream));
        Ok(())
    }
}
