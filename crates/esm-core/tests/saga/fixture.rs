//! A storage with orders, and processes that migrate them.

use std::sync::Arc;

use esm_core::Result;
use esm_core::id::{MigrationId, ObjectId, ObjectName};
use esm_core::migration::{MigrationBuilder, MigrationResult, MigrationService, MigrationStatus};
use esm_core::object::ObjectDocument;
use esm_testkit::faults::{At, Fault, FaultPlan, Gate};
use esm_testkit::memory::MemoryWorld;
use esm_testkit::observe::Observer;
use esm_testkit::{Rule, Rules, environment, events, ids};
use futures::TryStreamExt as _;
use tokio::task::JoinHandle;

/// Drops `Noise`, makes two of each `Split`, changes `Old`, fails on `Bad`.
pub(crate) fn rules() -> Rules {
    Rules::new([
        ("Noise", Rule::Drop),
        ("Split", Rule::Split(2)),
        ("Old", Rule::Change),
        ("Bad", Rule::Fail),
    ])
}

/// The name of all orders.
pub(crate) fn name() -> ObjectName {
    ObjectName::new("order").unwrap()
}

pub(crate) struct World {
    pub(crate) storage: MemoryWorld,
    /// A process that no fault meets.
    pub(crate) service: MigrationService,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::over(MemoryWorld::new(environment(7)))
    }

    /// Over what is there.
    pub(crate) fn over(storage: MemoryWorld) -> Self {
        let service = storage.migration_service();
        Self { storage, service }
    }

    /// With these objects.
    pub(crate) async fn with(objects: &[(&str, &[&str])]) -> Self {
        let world = Self::new();
        for (object, types) in objects {
            world.object(object, types).await;
        }
        world
    }

    /// With one order.
    pub(crate) async fn with_order(types: &[&str]) -> (Self, ObjectId) {
        let world = Self::new();
        let order = world.object("order/1", types).await;
        (world, order)
    }

    /// Creates an object whose events have these types, each in a cell of its own.
    pub(crate) async fn object(&self, id: &str, types: &[&str]) -> ObjectId {
        let object: ObjectId = id.parse().unwrap();
        let cells = events(format!("{id}-"), types).map(|event| vec![event]);
        self.storage.create_object(&object, cells).await.unwrap();
        object
    }

    pub(crate) fn migrate(&self, object: &ObjectId) -> MigrationBuilder {
        self.service.migrate(object.clone())
    }

    /// A process with these faults. Its locks are its own: it believes whatever it likes.
    pub(crate) fn holder(&self, name: &str, plan: &FaultPlan) -> MigrationService {
        let storage = self.storage.with_own_locks();
        plan.actor(name).migration_service(&storage)
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

    /// The ids of the object's events, as its readers see them.
    pub(crate) async fn ids(&self, object: &ObjectId) -> Vec<String> {
        ids(&self.storage.read(object).await.unwrap())
    }

    pub(crate) async fn document(&self, object: &ObjectId) -> ObjectDocument {
        self.storage.document(object).await.unwrap()
    }

    /// The schemas of the events of the active stream.
    pub(crate) async fn active_types(&self, object: &ObjectId) -> Vec<String> {
        let active = self.document(object).await.active;
        let events = self.storage.events(&active.stream);
        events.iter().map(|e| e.schema().to_string()).collect()
    }
}

pub(crate) fn run(migration: MigrationBuilder) -> JoinHandle<Result<MigrationResult>> {
    tokio::spawn(migration.transform(rules()).execute())
}

/// A plan whose process stops there until the gate opens.
pub(crate) fn stalled_at(at: At) -> (FaultPlan, Gate) {
    let gate = Gate::new();
    let plan = FaultPlan::new().with(at, Fault::Stall(gate.clone()));
    (plan, gate)
}
