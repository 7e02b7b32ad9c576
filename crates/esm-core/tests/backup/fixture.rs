//! A world with objects, and a service over it.

use esm_core::backup::{BackupOptions, BackupService};
use esm_core::event::Event;
use esm_core::id::{BackupId, ObjectId, StreamId};
use esm_core::migration::Scope;
use esm_core::object::ObjectDocument;
use esm_core::store::CellHeader;
use esm_testkit::environment;
use esm_testkit::memory::MemoryWorld;

pub(crate) struct Fixture {
    pub(crate) world: MemoryWorld,
    pub(crate) service: BackupService,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let world = MemoryWorld::new(environment(7));
        let service = world.backup_service();
        Self { world, service }
    }

    /// An object with this many events, in cells of three.
    pub(crate) async fn object(&self, id: &str, count: usize) -> ObjectId {
        let object: ObjectId = id.parse().unwrap();
        let events: Vec<_> = (0..count).map(|i| event(&format!("{id}/{i}"))).collect();
        let cells = events.chunks(3).map(<[Event]>::to_vec);
        self.world.create_object(&object, cells).await.unwrap();
        object
    }

    pub(crate) async fn document(&self, object: &ObjectId) -> ObjectDocument {
        self.world.document(object).await.unwrap()
    }

    /// The events of the stream that the document names.
    pub(crate) async fn active_events(&self, object: &ObjectId) -> Vec<Event> {
        let active = self.document(object).await.active;
        self.world.events(&active.stream)
    }

    /// Appends one event as an application does.
    pub(crate) async fn append(&self, object: &ObjectId, id: &str) {
        let appended = self.world.append(object, vec![event(id)]);
        appended.await.unwrap();
    }

    /// Appends one event of a schema that was retired.
    pub(crate) async fn append_refused(&self, object: &ObjectId, id: &str) {
        let appended = self.world.append(object, vec![event(id)]);
        let error = appended.await.unwrap_err();
        assert!(error.to_string().contains("retired"), "{error}");
    }

    /// A backup of these objects, with their documents.
    pub(crate) async fn back_up(&self, objects: &[&ObjectId]) -> BackupId {
        let scope = Scope::Objects(objects.iter().map(|o| (*o).clone()).collect());
        let options = BackupOptions::new().include_document();
        self.service.create(&scope, options).await.unwrap().id
    }

    pub(crate) fn headers(&self, stream: &StreamId) -> Vec<CellHeader> {
        let cells = self.world.event_store.snapshot(stream);
        cells.into_iter().map(|cell| cell.header).collect()
    }
}

pub(crate) fn event(id: &str) -> Event {
    esm_testkit::event(id, "Happened")
}
