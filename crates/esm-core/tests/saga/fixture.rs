//! A storage with orders, and processes that migrate them.

use std::sync::Arc;

use esm_core::Result;
use esm_core::clock::Environment;
use esm_core::document::ObjectDocument;
use esm_core::event::Event;
use esm_core::id::{EventId, EventType, MigrationId, ObjectId, ObjectName, StreamId};
use esm_core::migration::{MigrationBuilder, MigrationResult, MigrationService, MigrationStatus};
use esm_core::router::{ObjectClient, ReadPosition};
use esm_core::store::{CellKind, LockProvider};
use esm_testkit::faults::{At, Fault, FaultPlan, Gate};
use esm_testkit::memory::{MemoryLocks, MemoryWorld};
use esm_testkit::observe::Observer;
use esm_testkit::{Rule, Rules, environment};
use futures::TryStreamExt as _;
use tokio::task::JoinHandle;

/// Drops `Noise`, makes two of each `Split`, changes `Old`, fails on `Bad`.
pub(crate) fn rules() -> Rules {
    let of = |name, rule| (EventType::new(name).unwrap(), rule);
    Rules::new([
        of("Noise", Rule::Drop),
        of("Split", Rule::Split(2)),
        of("Old", Rule::Change),
        of("Bad", Rule::Fail),
    ])
}

pub(crate) fn event(id: &str, event_type: &str) -> Event {
    let (id, event_type) = (EventId::new(id), EventType::new(event_type));
    Event::new(id.unwrap(), event_type.unwrap(), "{}")
}

/// The name of all orders.
pub(crate) fn name() -> ObjectName {
    ObjectName::new("order").unwrap()
}

pub(crate) struct World {
    environment: Environment,
    pub(crate) storage: MemoryWorld,
    /// A process that no fault meets.
    pub(crate) service: MigrationService,
}

impl World {
    pub(crate) fn new() -> Self {
        let environment = environment(7);
        let storage = MemoryWorld::new(&environment);
        let (events, records) = (storage.event_store(), storage.records());
        let service = MigrationService::new(events, records, storage.locks()).unwrap();
        let service = service
            .with_environment(environment.clone())
            .with_backups(storage.backups());
        Self {
            environment,
            storage,
            service,
        }
    }

    /// With these objects.
    pub(crate) async fn with(objects: &[(&str, &[&str])]) -> Self {
        let world = Self::new();
        for (object, types) in objects {
            world.object(object, types).await;
        }
        world
    }

    /// Creates an object whose events have these types, each in a cell of its own.
    pub(crate) async fn object(&self, id: &str, types: &[&str]) -> ObjectId {
        let object: ObjectId = id.parse().unwrap();
        let cells = (0..).zip(types);
        let cells = cells.map(|(i, t)| vec![event(&format!("{id}-{i}"), t)]);
        let created = self
            .storage
            .create_object(&self.environment, &object, cells);
        created.await.unwrap();
        object
    }

    /// A process with these faults. Its locks are its own: it believes whatever it likes.
    pub(crate) fn holder(&self, name: &str, seed: u64, plan: &FaultPlan) -> MigrationService {
        let actor = plan.actor(name);
        let environment = environment(seed);
        let locks: Arc<dyn LockProvider> =
            Arc::new(MemoryLocks::new(Arc::clone(&environment.clock)));
        MigrationService::new(
            actor.event_store(self.storage.event_store()),
            actor.records(self.storage.records()),
            actor.locks(locks),
        )
        .unwrap()
        .with_environment(environment)
        .with_backups(self.storage.backups())
    }

    pub(crate) fn observer(&self, objects: &[ObjectId]) -> Arc<Observer> {
        let observer = Observer::new(self.storage.event_store(), self.storage.records());
        let observer = observer.transformation(Arc::new(rules()));
        Arc::new((objects.iter().cloned()).fold(observer, Observer::object))
    }

    /// The only migration, if it is planned.
    pub(crate) async fn migration(&self) -> Option<MigrationId> {
        let all: Vec<_> = self.service.migrations().try_collect().await.unwrap();
        assert!(all.len() <= 1);
        let planned = all.into_iter().find(|state| state.plan.is_some());
        planned.map(|state| state.migration)
    }

    pub(crate) async fn status(&self, migration: MigrationId) -> MigrationStatus {
        self.service.status(migration).await.unwrap().status
    }

    pub(crate) fn client(&self) -> ObjectClient {
        let (records, events) = (self.storage.records(), self.storage.event_store());
        ObjectClient::new(records, events, environment(55))
    }

    /// The ids of the object's events, as its readers see them.
    pub(crate) async fn ids(&self, object: &ObjectId) -> Vec<String> {
        let events = self.client().read(object, ReadPosition::Start);
        let events: Vec<_> = events.try_collect().await.unwrap();
        events.iter().map(|e| e.event.id.to_string()).collect()
    }

    pub(crate) async fn document(&self, object: &ObjectId) -> ObjectDocument {
        self.storage.document(object).await.unwrap().unwrap()
    }

    /// The schemas of the events of the active stream.
    pub(crate) async fn active_types(&self, object: &ObjectId) -> Vec<String> {
        let active = self.document(object).await.active;
        let events = self.storage.events(&active.stream);
        events.iter().map(|e| e.schema().to_string()).collect()
    }

    pub(crate) fn is_closed(&self, stream: &StreamId) -> bool {
        let cells = self.storage.event_store.snapshot(stream);
        let last = cells.last().map(|cell| &cell.header.kind);
        matches!(last, Some(CellKind::Close(_)))
    }
}

pub(crate) fn run(migration: MigrationBuilder) -> JoinHandle<Result<MigrationResult>> {
    tokio::spawn(async move { migration.transform(rules()).execute().await })
}

/// A plan whose process stops there until the gate opens.
pub(crate) fn stalled_at(at: At) -> (FaultPlan, Gate) {
    let gate = Gate::new();
    let plan = FaultPlan::new().with(at, Fault::Stall(gate.clone()));
    (plan, gate)
}
