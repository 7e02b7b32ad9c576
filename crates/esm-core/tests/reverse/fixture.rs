//! A world with orders, their migration, and the way back.

use std::sync::Arc;

use esm_core::event::{Event, Position, Schema, SchemaVersion};
use esm_core::id::{EventType, MigrationId, ObjectId, StreamRef};
use esm_core::migration::{
    MigrationBuilder, MigrationResult, MigrationService, MigrationState, RollBackBuilder,
};
use esm_core::object::ObjectDocument;
use esm_core::router::ObjectClient;
use esm_core::store::{EventStore, Stores};
use esm_core::transform::{EventTransformer as _, FunctionTransformer, Transformed};
use esm_testkit::faults::FaultPlan;
use esm_testkit::memory::MemoryWorld;
use esm_testkit::observe::Observer;
use esm_testkit::{environment, events};
use futures::TryStreamExt as _;

pub(crate) fn schema(event_type: &str, version: u32) -> Schema {
    Schema::new(event_type, version).unwrap()
}

/// The migration: raises `Old` to version 2, drops `Noise`, splits `Pair` into two `Half`.
pub(crate) fn up() -> FunctionTransformer {
    let schemas = [schema("Old", 1), schema("Noise", 1), schema("Pair", 1)];
    FunctionTransformer::new("up", 1, schemas, |event, _| {
        let mut changed = event.clone();
        Ok(match event.event_type.as_str() {
            "Noise" => Transformed::dropped("noise"),
            "Old" => {
                changed.schema_version = SchemaVersion(2);
                changed.payload = "{\"up\":true}".into();
                Transformed::Events(vec![changed])
            }
            _ => {
                changed.event_type = EventType::new("Half").unwrap();
                Transformed::Events(vec![changed.clone(), changed])
            }
        })
    })
    .unwrap()
}

/// The way back: `Old` of version 2 to version 1, `Half` is dropped.
pub(crate) fn down() -> FunctionTransformer {
    let schemas = [schema("Old", 2), schema("Half", 1)];
    FunctionTransformer::new("down", 1, schemas, |event, _| {
        let mut changed = event.clone();
        changed.schema_version = SchemaVersion(1);
        changed.payload = "{\"down\":true}".into();
        Ok(match event.event_type.as_str() {
            "Half" => Transformed::dropped("halves"),
            _ => Transformed::Events(vec![changed]),
        })
    })
    .unwrap()
}

/// As [`down`], and leaves everything else as it is.
pub(crate) fn everything_down() -> FunctionTransformer {
    FunctionTransformer::for_all("everything-down", 1, |event, context| {
        let down = down();
        match down.handles(&event.schema()) {
            true => down.transform(event, context),
            false => Ok(Transformed::Unchanged),
        }
    })
    .unwrap()
}

pub(crate) fn event(id: &str, event_type: &str, version: u32) -> Event {
    Event {
        schema_version: SchemaVersion(version),
        ..esm_testkit::event(id, event_type)
    }
}

/// `type vVersion id`, for comparisons that can be read.
pub(crate) fn line(event: &Event) -> String {
    format!(
        "{} v{} {}",
        event.event_type, event.schema_version, event.id
    )
}

pub(crate) struct World {
    pub(crate) storage: MemoryWorld,
    pub(crate) plan: FaultPlan,
    pub(crate) service: MigrationService,
    pub(crate) client: ObjectClient,
}

impl World {
    /// Orders with events of these types, each in a cell of its own.
    pub(crate) async fn new(orders: &[(&str, &[&str])]) -> Self {
        let storage = MemoryWorld::new(environment(7));
        let observer = Observer::new(storage.event_store(), storage.records());
        let observer = observer.transformation(Arc::new(up()));
        let observer = observer.transformation(Arc::new(down()));
        let mut observer = observer.transformation(Arc::new(everything_down()));
        for (order, types) in orders {
            let object: ObjectId = order.parse().unwrap();
            let cells = events(format!("{order}-"), *types).map(|event| vec![event]);
            storage.create_object(&object, cells).await.unwrap();
            observer = observer.object(object);
        }
        let plan = FaultPlan::new().watched_by(Arc::new(observer));
        Self {
            service: plan.actor("migrator").migration_service(&storage),
            client: storage.client(),
            storage,
            plan,
        }
    }

    /// Another process, that no fault meets, when every lock of the first has expired.
    pub(crate) fn next_process(&self) -> MigrationService {
        self.plan.actor("next").migration_service(&self.storage)
    }

    /// A process that no lock keeps from anything: it believes whatever it likes.
    pub(crate) fn unlocked_process(&self, name: &str) -> MigrationService {
        let storage = self.storage.with_own_locks();
        self.plan.actor(name).migration_service(&storage)
    }

    /// Describes the migration of one order, which changes nothing unless told.
    pub(crate) fn migration(&self, order: &str) -> MigrationBuilder {
        self.service.migrate(order.parse().unwrap())
    }

    /// Migrates one order, and answers the migration.
    pub(crate) async fn migrate(&self, order: &str) -> MigrationId {
        let builder = self.migration(order).transform(up());
        self.succeeded(builder.execute().await).migration
    }

    pub(crate) fn back(&self, migration: MigrationId) -> RollBackBuilder {
        self.service.roll_back(migration).down(down())
    }

    /// Appends an event wherever the order is.
    pub(crate) async fn append(&self, order: &str, event: Event) -> Position {
        let object = order.parse().unwrap();
        let appended = self.storage.append(&object, vec![event]).await;
        appended.unwrap().next
    }

    pub(crate) async fn document(&self, order: &str) -> ObjectDocument {
        let object = order.parse().unwrap();
        self.storage.document(&object).await.unwrap()
    }

    pub(crate) async fn active(&self, order: &str) -> StreamRef {
        self.document(order).await.active
    }

    /// The events of the active stream, as lines.
    pub(crate) async fn lines(&self, order: &str) -> Vec<String> {
        let active = self.active(order).await;
        let events = self.storage.events(&active.stream);
        events.iter().map(line).collect()
    }

    /// A migration that succeeded, and no invariant was broken on the way.
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

    pub(crate) fn stores(&self) -> Stores {
        Stores::new(self.storage.event_store())
    }

    /// A process that knows another store too, without an observer, which knows one.
    pub(crate) fn process_with(&self, other: &Arc<dyn EventStore>) -> MigrationService {
        let stores = self.stores().with(Arc::clone(other));
        let (records, locks) = (self.storage.records(), self.storage.locks());
        let service = MigrationService::new(stores, records, locks).unwrap();
        let service = service.with_backups(self.storage.backups());
        service.with_environment(self.storage.environment.clone())
    }

    /// Everything that is stored, to see that nothing was touched.
    pub(crate) fn everything(&self) -> Vec<String> {
        let streams = self.storage.event_store.stream_ids();
        let cells = streams.into_iter().map(|id| {
            let cells = self.storage.event_store.snapshot(&id);
            format!("{id}: {cells:?}")
        });
        cells
            .chain([format!("{:?}", self.storage.records)])
            .collect()
    }
}

/// What is begun and has not ended, if there is anything.
pub(crate) async fn unfinished(service: &MigrationService) -> Option<MigrationState> {
    let all: Vec<_> = service.active().try_collect().await.unwrap();
    all.into_iter().next()
}
