//! A migration of orders and its reverse.

use std::sync::Arc;

use esm_core::event::{Event, SchemaVersion};
use esm_core::id::{EventType, MigrationId, ObjectId};
use esm_core::migration::{MigrationService, RollBackBuilder};
use esm_core::store::{EventStore, Stores};
use esm_core::transform::{EventTransformer, FunctionTransformer, Transformed};

use crate::world::{World, schema};

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
        if down.handles(&event.schema()) {
            down.transform(event, context)
        } else {
            Ok(Transformed::Unchanged)
        }
    })
    .unwrap()
}

/// `type vVersion id`, for comparisons that can be read.
pub(crate) fn line(event: &Event) -> String {
    format!(
        "{} v{} {}",
        event.event_type, event.schema_version, event.id
    )
}

impl World {
    /// With orders of these types, each event in a cell of its own. An observer checks the invariants
    /// after every operation.
    pub(crate) async fn watched(orders: &[(&str, &[&str])]) -> Self {
        let world = Self::with(orders).await;
        let objects = orders.iter().map(|(order, _)| order.parse().unwrap());
        let objects: Vec<ObjectId> = objects.collect();
        let transformers = [up(), down(), everything_down()];
        let transformers = transformers.map(|t| Arc::new(t) as Arc<dyn EventTransformer>);
        let observer = world.observer(&objects, transformers);
        world.watched_by(observer)
    }

    /// Another process, which starts when every lock of the first has expired.
    pub(crate) fn next_process(&self) -> MigrationService {
        self.plan.actor("next").migration_service(&self.storage)
    }

    /// A process that no lock keeps from anything.
    pub(crate) fn unlocked_process(&self, name: &str) -> MigrationService {
        self.unlocked(&self.plan.actor(name))
    }

    /// Migrates one order [`up`], and returns the migration.
    pub(crate) async fn migrated(&self, order: &str) -> MigrationId {
        let builder = self.migrate(order).transform(up());
        self.succeeded(builder.execute().await).migration
    }

    pub(crate) fn back(&self, migration: MigrationId) -> RollBackBuilder {
        self.service.roll_back(migration).down(down())
    }

    /// The events of the active stream, as lines.
    pub(crate) async fn lines(&self, order: &str) -> Vec<String> {
        self.active_events(order).await.iter().map(line).collect()
    }

    pub(crate) fn stores(&self) -> Stores {
        Stores::new(self.storage.event_store())
    }

    /// A process that knows another store too. No observer watches it, because an observer knows one.
    pub(crate) fn process_with(&self, other: &Arc<dyn EventStore>) -> MigrationService {
        let stores = self.stores().with(Arc::clone(other));
        let (records, locks) = (self.storage.records(), self.storage.locks());
        let service = MigrationService::new(stores, records, locks);
        let service = service.with_backups(self.storage.backups());
        service.with_environment(self.storage.environment.clone())
    }
}
