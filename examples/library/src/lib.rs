//! What the examples share: a shop with an order or two, to have something to migrate.
//!
//! | example | shows |
//! |---|---|
//! | `basic_migration` | a plan, a migration, reading on at the same object |
//! | `function_transformer` | payloads by their Rust types; splitting and dropping |
//! | `backup_with_progress` | a backup, an archive, progress |
//! | `lock_with_rollback` | waiting for a lock; a failed check undoes everything |
//! | `projection` | a read model with a checkpoint, over two migrations |
//! | `custom_transformer` | an own transformer |
//! | `custom_lock_provider` | locks as rows of a database |
//! | `custom_backup_provider` | every backup in two places |
//! | `custom_provider` | a whole store over a table of keys and values |
//!
//! `cargo run -p esm-library-examples --example NAME` runs one; each checks its own outcome.

#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;

#[cfg(doctest)]
#[doc = include_str!("../../../docs/projections.md")]
struct Projections;

use esm_core::Result;
use esm_core::clock::Environment;
use esm_core::event::Event;
use esm_core::id::{EventId, EventType, ObjectId};
use esm_core::migration::MigrationService;
use esm_core::router::{ExpectedRevision, ObjectClient, ReadPosition};
use esm_objectstore::{OpenOptions, Store};
use futures::TryStreamExt as _;
use serde_json::{Value, json};

/// A shop that keeps its orders as streams of events.
#[derive(Debug, Clone)]
pub struct Shop {
    /// Where everything is.
    pub store: Store,
    /// What the shop's own programs use.
    pub orders: ObjectClient,
    /// What migrates.
    pub service: MigrationService,
}

impl Shop {
    /// A new and empty shop, in memory. `file:///path` or `s3://bucket/prefix` instead of `memory:`
    /// would be all that changes.
    ///
    /// # Errors
    /// Those of opening a store.
    pub async fn in_memory() -> Result<Self> {
        Self::over(esm_objectstore::open_or_create("memory:", OpenOptions::new()).await?)
    }

    /// A shop over a store.
    ///
    /// # Errors
    /// Those of [`MigrationService::new`].
    pub fn over(store: Store) -> Result<Self> {
        let environment = Environment::system();
        Ok(Self {
            orders: ObjectClient::new(store.records(), store.event_store(), environment),
            service: MigrationService::new(store.event_store(), store.records(), store.locks())
                .with_backups(store.backups()),
            store,
        })
    }

    /// Places an order, which is paid, noted down and shipped: four events.
    ///
    /// # Errors
    /// Those of appending.
    pub async fn place_order(&self, number: u32, customer: &str) -> Result<ObjectId> {
        let order: ObjectId = format!("order/{number}").parse()?;
        let events = vec![
            event("placed", "OrderPlaced", &json!({ "customer": customer }))?,
            event("paid", "PaymentReceived", &json!({ "amount_cents": 4_990 }))?,
            event("note", "NoteTaken", &json!({ "text": "is in a hurry" }))?,
            event(
                "shipped",
                "OrderShipped",
                &json!({ "carrier": "PostNow", "weight_grams": 850 }),
            )?,
        ];
        self.orders
            .append(&order, ExpectedRevision::NoStream, events)
            .await?;
        Ok(order)
    }

    /// All events of an order, wherever they are by now.
    ///
    /// # Errors
    /// Those of reading.
    pub async fn events(&self, order: &ObjectId) -> Result<Vec<Event>> {
        let events = self.orders.read(order, ReadPosition::Start);
        events.map_ok(|recorded| recorded.event).try_collect().await
    }

    /// Prints the events of an order, a line each.
    ///
    /// # Errors
    /// Those of reading.
    pub async fn print(&self, order: &ObjectId) -> Result<()> {
        for event in self.events(order).await? {
            let payload = String::from_utf8_lossy(&event.payload);
            println!("  {:<20} {payload}", event.schema().to_string());
        }
        Ok(())
    }
}

/// An event with a JSON payload.
///
/// # Errors
/// `Invalid` for an id or type that is none.
pub fn event(id: &str, event_type: &str, payload: &Value) -> Result<Event> {
    let (id, event_type) = (EventId::new(id)?, EventType::new(event_type)?);
    Ok(Event::new(id, event_type, payload.to_string()))
}

/// The types of events, in order.
pub fn types(events: &[Event]) -> Vec<&str> {
    events
        .iter()
        .map(|event| event.event_type.as_str())
        .collect()
}
