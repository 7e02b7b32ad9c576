//! The world of the tests: a storage in memory with objects, and the processes that use it.

use std::fmt::Display;
use std::sync::Arc;

use esm_core::backup::BackupService;
use esm_core::event::{Event, Position, Schema, SchemaVersion};
use esm_core::id::{MigrationId, ObjectId, ObjectName, StreamId, StreamRef};
use esm_core::migration::{
    MigrationBuilder, MigrationResult, MigrationService, MigrationState, MigrationStatus,
};
use esm_core::object::ObjectDocument;
use esm_core::router::ObjectClient;
use esm_core::store::Capabilities;
use esm_core::transform::EventTransformer;
use esm_testkit::faults::{Actor, At, Fault, FaultPlan, Gate};
use esm_testkit::memory::MemoryWorld;
use esm_testkit::observe::Observer;
use esm_testkit::{Rule, Rules, environment};
use futures::TryStreamExt as _;
use tokio::sync::Barrier;
use tokio::task::{JoinHandle, JoinSet};

/// A storage and a process that uses it. Files of an area add what that area needs.
pub(crate) struct World {
    pub(crate) storage: MemoryWorld,
    /// The plan of the world's processes. It has no faults.
    pub(crate) plan: FaultPlan,
    /// A process that migrates.
    pub(crate) service: MigrationService,
    /// `order/1`, which most tests are about.
    pub(crate) order: ObjectId,
}

/// An object, or its id as text.
pub(crate) trait AsObject {
    fn object(&self) -> ObjectId;
}

impl AsObject for ObjectId {
    fn object(&self) -> ObjectId {
        self.clone()
    }
}

impl AsObject for str {
    fn object(&self) -> ObjectId {
        self.parse().unwrap()
    }
}

impl World {
    /// Without objects.
    pub(crate) fn new() -> Self {
        Self::over(MemoryWorld::new(environment(7)))
    }

    /// Over an event store with these capabilities.
    pub(crate) fn capable_of(capabilities: Capabilities) -> Self {
        let mut storage = MemoryWorld::new(environment(7));
        storage.event_store = storage.event_store.with_capabilities(capabilities);
        Self::over(storage)
    }

    /// Over an existing storage.
    pub(crate) fn over(storage: MemoryWorld) -> Self {
        let plan = FaultPlan::new();
        Self {
            service: plan.actor("migrator").migration_service(&storage),
            plan,
            storage,
            order: "order/1".parse().unwrap(),
        }
    }

    /// With these objects, whose events have these types, each in a cell of its own.
    pub(crate) async fn with(objects: &[(&str, &[&str])]) -> Self {
        let world = Self::new();
        for (object, types) in objects {
            world.object(object, types).await;
        }
        world
    }

    /// With one order, whose events have these types.
    pub(crate) async fn with_order(types: &[&str]) -> Self {
        Self::with(&[("order/1", types)]).await
    }

    /// From now on an observer checks the invariants after every operation of the process.
    pub(crate) fn watched_by(self, observer: Observer) -> Self {
        let plan = FaultPlan::new().watched_by(Arc::new(observer));
        Self {
            service: plan.actor("migrator").migration_service(&self.storage),
            plan,
            ..self
        }
    }

    /// An observer of these objects, which knows these transformations.
    pub(crate) fn observer(
        &self,
        objects: &[ObjectId],
        transformers: impl IntoIterator<Item = Arc<dyn EventTransformer>>,
    ) -> Observer {
        let observer = Observer::new(self.storage.event_store(), self.storage.records());
        let observer = (transformers.into_iter()).fold(observer, Observer::transformation);
        (objects.iter().cloned()).fold(observer, Observer::object)
    }

    /// Creates an object whose events have these types, each in a cell of its own. The events' ids
    /// are the object's id and a number: `order/1-0`.
    pub(crate) async fn object(&self, id: &str, types: &[&str]) -> ObjectId {
        let events = esm_testkit::events(format!("{id}-"), types).collect();
        self.object_of(id, events, 1).await
    }

    /// Creates an object with these events, so many in each cell.
    pub(crate) async fn object_of(
        &self,
        id: &str,
        events: Vec<Event>,
        per_cell: usize,
    ) -> ObjectId {
        let object: ObjectId = id.parse().unwrap();
        let cells = events.chunks(per_cell).map(<[Event]>::to_vec);
        self.storage.create_object(&object, cells).await.unwrap();
        object
    }

    pub(crate) fn migrate(&self, object: &(impl AsObject + ?Sized)) -> MigrationBuilder {
        self.service.migrate(object.object())
    }

    /// The migration service of a process that no lock keeps from anything: its locks are its own.
    pub(crate) fn unlocked(&self, process: &Actor) -> MigrationService {
        process.migration_service(&self.storage.with_own_locks())
    }

    /// The only migration, once it is planned.
    pub(crate) async fn migration(&self) -> Option<MigrationId> {
        let all: Vec<_> = self.service.migrations().try_collect().await.unwrap();
        assert!(all.len() <= 1);
        let planned = all.into_iter().find(|state| state.plan.is_some());
        planned.map(|state| state.migration)
    }

    pub(crate) async fn status(&self, migration: MigrationId) -> MigrationStatus {
        self.service.status(migration).await.unwrap().status
    }

    /// The result of a migration that succeeded. No process of the world broke an invariant.
    pub(crate) fn succeeded(&self, ended: esm_core::Result<MigrationResult>) -> MigrationResult {
        let result = ended.unwrap();
        assert!(result.is_success(), "{result:?}");
        self.unharmed();
        result
    }

    pub(crate) fn unharmed(&self) {
        let violations = self.plan.violations();
        assert!(violations.is_empty(), "{violations:?}");
    }

    pub(crate) fn client(&self) -> ObjectClient {
        self.storage.client()
    }

    pub(crate) fn backups(&self) -> BackupService {
        self.storage.backup_service()
    }

    /// Appends an event to the object's active stream, as an application does, and returns the
    /// position after it.
    pub(crate) async fn append(&self, object: &(impl AsObject + ?Sized), event: Event) -> Position {
        let appended = self.storage.append(&object.object(), vec![event]).await;
        appended.unwrap().next
    }

    pub(crate) async fn document(&self, object: &(impl AsObject + ?Sized)) -> ObjectDocument {
        self.storage.document(&object.object()).await.unwrap()
    }

    /// The stream that the object's document names.
    pub(crate) async fn active(&self, object: &(impl AsObject + ?Sized)) -> StreamRef {
        self.document(object).await.active
    }

    /// The events of the active stream.
    pub(crate) async fn active_events(&self, object: &(impl AsObject + ?Sized)) -> Vec<Event> {
        self.storage.events(&self.active(object).await.stream)
    }

    /// The ids of the object's events, as an application reads them.
    pub(crate) async fn ids(&self, object: &(impl AsObject + ?Sized)) -> Vec<String> {
        esm_testkit::ids(&self.storage.read(&object.object()).await.unwrap())
    }

    /// Whether the order's first stream has a Close.
    pub(crate) fn source_is_closed(&self) -> bool {
        let source = StreamId::first(&self.order);
        self.storage.close_of(&source).is_some()
    }

    /// Everything that is stored, to compare with later.
    pub(crate) fn everything(&self) -> Vec<String> {
        let streams = self.storage.event_store.stream_ids();
        let cells = streams.into_iter().map(|id| {
            let cells = self.storage.event_store.snapshot(&id);
            format!("{id}: {cells:?}")
        });
        let records = format!("{:?}", self.storage.records);
        cells.chain([records]).collect()
    }
}

/// The migration that has begun and has not ended, if there is one.
pub(crate) async fn unfinished(service: &MigrationService) -> Option<MigrationState> {
    let all: Vec<_> = service.active().try_collect().await.unwrap();
    all.into_iter().next()
}

/// An event of the type `T`.
pub(crate) fn event(id: impl Display) -> Event {
    esm_testkit::event(id.to_string(), "T")
}

pub(crate) fn versioned(id: &str, event_type: &str, version: u32) -> Event {
    Event {
        schema_version: SchemaVersion(version),
        ..esm_testkit::event(id, event_type)
    }
}

pub(crate) fn schema(event_type: &str, version: u32) -> Schema {
    Schema::new(event_type, version).unwrap()
}

/// The name of all orders.
pub(crate) fn orders() -> ObjectName {
    ObjectName::new("order").unwrap()
}

/// Drops `Noise`, makes two of each `Split`, changes `Old`, fails on `Bad`.
pub(crate) fn rules() -> Rules {
    Rules::new([
        ("Noise", Rule::Drop),
        ("Split", Rule::Split(2)),
        ("Old", Rule::Change),
        ("Bad", Rule::Fail),
    ])
}

/// Starts a migration by the [`rules`].
pub(crate) fn run(migration: MigrationBuilder) -> JoinHandle<esm_core::Result<MigrationResult>> {
    tokio::spawn(migration.transform(rules()).execute())
}

/// A plan whose process stops at this operation until the gate opens.
pub(crate) fn stalled_at(at: At) -> (FaultPlan, Gate) {
    let gate = Gate::new();
    let plan = FaultPlan::new().with(at, Fault::Stall(gate.clone()));
    (plan, gate)
}

/// Runs this many tasks that start together, and returns their results in no particular order.
pub(crate) async fn race<T, F>(count: u32, task: impl Fn(u32) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let start = Arc::new(Barrier::new(count as usize));
    let mut tasks = JoinSet::new();
    for number in 0..count {
        let (start, task) = (Arc::clone(&start), task(number));
        tasks.spawn(async move {
            start.wait().await;
            task.await
        });
    }
    tasks.join_all().await
}
