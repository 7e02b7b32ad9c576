//! The stores of a scenario.

use std::collections::BTreeSet;
use std::sync::Arc;

use esm_core::Result;
use esm_core::clock::Environment;
use esm_core::event::Event;
use esm_core::id::{BackupId, ObjectId, StreamId};
use esm_core::object::ObjectDocument;
use esm_core::store::{
    BackupProvider, Cell, EventStore, EventStoreExt as _, PageLimit, ReadFrom, RecordKey, Records,
    RecordsExt as _,
};
use esm_foreign::{ForeignEventStore, NativeStore};
use futures::TryStreamExt as _;

use crate::environment;
use crate::faults::{Actor, Crashed};
use crate::memory::MemoryWorld;

/// The stores in which a scenario runs. Locks are always in memory, because a sweep must control
/// how long a lease lasts.
///
/// ```
/// use esm_testkit::memory::MemoryWorld;
/// use esm_testkit::sweep::{Place, Scenario, chaos};
///
/// let scenario = Scenario::new("order/1".parse()?, Vec::new()).at(|| async {
///     Ok(Place::from(MemoryWorld::new(esm_testkit::environment(7))))
/// });
/// chaos(&scenario, &[]).unwrap();
/// # Ok::<(), esm_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Place {
    /// The streams.
    pub event_store: Arc<dyn EventStore>,
    /// The documents, journals and the index.
    pub records: Arc<dyn Records>,
    /// The backups and archives.
    pub backups: Arc<dyn BackupProvider>,
    /// The native store of the streams, if there is one. Then each process opens its own event
    /// store on it, and its calls on the native store are the operations, from the first of its
    /// opening on.
    pub native_store: Option<Arc<dyn NativeStore>>,
}

impl From<MemoryWorld> for Place {
    fn from(world: MemoryWorld) -> Self {
        Self {
            event_store: world.event_store(),
            records: world.records(),
            backups: world.backups(),
            native_store: None,
        }
    }
}

impl Place {
    /// Returns a place whose streams are in this native store; everything else is in memory.
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use esm_foreign::{CloseProof, Profile};
    /// use esm_testkit::memory::MemoryNativeStore;
    /// use esm_testkit::sweep::{Place, Scenario, Sweep};
    ///
    /// let profile = Profile::new(CloseProof::StoreRefuses).with_fence(true).with_delete(true);
    /// let scenario = Scenario::new("order/1".parse()?, Vec::new()).at(move || {
    ///     let native = MemoryNativeStore::new(profile); // your native store
    ///     Place::on_native_store(Arc::new(native))
    /// });
    /// let operations = Sweep::of_crashes(scenario).clean();
    /// assert!(operations.iter().any(|operation| operation.call.name == "native_store.close"));
    /// # Ok::<(), esm_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`ForeignEventStore::open`].
    pub async fn on_native_store(native: Arc<dyn NativeStore>) -> Result<Self> {
        let environment = environment(0);
        let event_store = ForeignEventStore::open(Arc::clone(&native), &environment).await?;
        Ok(Self {
            event_store: Arc::new(event_store),
            native_store: Some(native),
            ..MemoryWorld::new(environment).into()
        })
    }

    /// Returns the event store as a process that opens it sees it.
    pub(super) async fn opened_by(
        &self,
        actor: &Actor,
        environment: &Environment,
    ) -> Arc<dyn EventStore> {
        let Some(native) = &self.native_store else {
            return actor.event_store(Arc::clone(&self.event_store));
        };
        let native = actor.native_store(Arc::clone(native));
        match actor
            .run(ForeignEventStore::open(native, environment))
            .await
        {
            Ok(Ok(opened)) => Arc::new(opened),
            Ok(Err(_)) | Err(Crashed) => {
                // a process that cannot open its store ends, so it never uses this one
                actor.crash();
                Arc::clone(&self.event_store)
            }
        }
    }

    /// Returns whether a target that was begun can be removed again (R17).
    pub(super) fn takes_back(&self) -> bool {
        let offered = self.event_store.capabilities();
        offered.fence && offered.discard
    }

    /// Returns all cells of a stream.
    pub(super) async fn cells(&self, stream: &StreamId) -> Result<Vec<Cell>, String> {
        let store = Arc::clone(&self.event_store);
        let cells = store.cells(stream.clone(), ReadFrom::Seq(0), PageLimit::default());
        let cells = cells.try_collect().await;
        cells.map_err(|e| format!("{stream} cannot be read: {e}"))
    }

    /// Returns all events of a stream, in order; none when it does not exist.
    pub(super) async fn events(&self, stream: &StreamId) -> Result<Vec<Event>, String> {
        let cells = self.cells(stream).await?;
        let events = cells.into_iter().flat_map(|cell| cell.events);
        Ok(events.map(|copied| copied.event).collect())
    }

    /// Returns the streams among these that have a cell.
    pub(super) async fn present(
        &self,
        streams: BTreeSet<StreamId>,
    ) -> Result<BTreeSet<StreamId>, String> {
        let mut present = BTreeSet::new();
        for stream in streams {
            let tail = self.event_store.tail(&stream).await;
            if !tail.map_err(|e| e.to_string())?.is_empty() {
                present.insert(stream);
            }
        }
        Ok(present)
    }

    /// Returns the newest document of an object.
    pub(super) async fn document(&self, object: &ObjectId) -> Result<ObjectDocument, String> {
        let key = RecordKey::Document(object.clone());
        let document = self.records.latest_as(&key).await;
        let document = document.map_err(|e| e.to_string())?;
        let (_, document) = document.ok_or("the document is missing")?;
        Ok(document)
    }

    /// Returns all backups and archives.
    pub(super) async fn backup_ids(&self) -> Result<Vec<BackupId>, String> {
        let ids = self.backups.list().map_ok(|manifest| manifest.id);
        ids.try_collect().await.map_err(|e| e.to_string())
    }
}
