//! A world with objects, and a service over it.

use std::sync::Arc;

use esm_core::backup::{BackupOptions, BackupService};
use esm_core::clock::Environment;
use esm_core::document::ObjectDocument;
use esm_core::event::Event;
use esm_core::id::{BackupId, EventId, EventType, ObjectId, StreamId, StreamRef};
use esm_core::migration::Scope;
use esm_core::router::{ExpectedRevision, ObjectClient};
use esm_core::store::{CellHeader, CellKind, Close};
use esm_testkit::environment;
use esm_testkit::faults::Actor;
use esm_testkit::memory::MemoryWorld;

pub(crate) struct Fixture {
    pub(crate) environment: Environment,
    pub(crate) world: MemoryWorld,
    pub(crate) service: BackupService,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let environment = environment(7);
        let world = MemoryWorld::new(&environment);
        let service = service(&world, &environment);
        Self {
            environment,
            world,
            service,
        }
    }

    /// An object with this many events, in cells of three.
    pub(crate) async fn object(&self, id: &str, count: usize) -> ObjectId {
        let object: ObjectId = id.parse().unwrap();
        let events: Vec<_> = (0..count).map(|i| event(&format!("{id}/{i}"))).collect();
        let cells: Vec<_> = events.chunks(3).map(<[Event]>::to_vec).collect();
        self.world
            .create_object(&self.environment, &object, cells)
            .await
            .unwrap();
        object
    }

    pub(crate) async fn document(&self, object: &ObjectId) -> ObjectDocument {
        self.world.document(object).await.unwrap().unwrap()
    }

    /// The events of the stream that the document names.
    pub(crate) async fn active_events(&self, object: &ObjectId) -> Vec<Event> {
        self.world
            .events(&self.document(object).await.active.stream)
    }

    /// Appends one event as an application does.
    pub(crate) async fn append(&self, object: &ObjectId, id: &str) {
        self.client()
            .append(object, ExpectedRevision::Any, vec![event(id)])
            .await
            .unwrap();
    }

    /// Appends one event of a schema that was retired.
    pub(crate) async fn append_refused(&self, object: &ObjectId, id: &str) {
        let appended = self
            .client()
            .append(object, ExpectedRevision::Any, vec![event(id)])
            .await;
        let error = appended.unwrap_err();
        assert!(error.to_string().contains("retired"), "{error}");
    }

    pub(crate) fn client(&self) -> ObjectClient {
        let (records, store) = (self.world.records(), self.world.event_store());
        ObjectClient::new(records, store, self.environment.clone())
    }

    /// A backup of these objects, with their documents.
    pub(crate) async fn back_up(&self, objects: &[&ObjectId]) -> BackupId {
        let scope = Scope::Objects(objects.iter().map(|o| (*o).clone()).collect());
        let options = BackupOptions::new().include_document();
        self.service.create(&scope, options).await.unwrap().id
    }

    pub(crate) fn close_of(&self, stream: &StreamRef) -> Option<Close> {
        let cells = self.world.event_store.snapshot(&stream.stream);
        match cells.last().map(|cell| &cell.header.kind) {
            Some(CellKind::Close(close)) => Some(close.clone()),
            _ => None,
        }
    }

    pub(crate) fn headers(&self, stream: &StreamId) -> Vec<CellHeader> {
        let cells = self.world.event_store.snapshot(stream);
        cells.into_iter().map(|cell| cell.header).collect()
    }
}

pub(crate) fn service(world: &MemoryWorld, environment: &Environment) -> BackupService {
    BackupService::new(world.event_store(), world.records(), world.backups())
        .with_environment(environment.clone())
}

/// A service of a simulated process.
pub(crate) fn service_of(world: &MemoryWorld, actor: &Actor, seed: u64) -> BackupService {
    BackupService::new(
        actor.event_store(Arc::new(world.event_store.clone())),
        actor.records(Arc::new(world.records.clone())),
        actor.backups(Arc::new(world.backups.clone())),
    )
    .with_environment(environment(seed))
}

pub(crate) fn event(id: &str) -> Event {
    let id = EventId::new(id).unwrap();
    let payload = format!("{{\"id\":\"{id}\"}}");
    Event::new(id, EventType::new("Happened").unwrap(), payload)
}
