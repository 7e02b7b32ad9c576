//! A projection that keeps its checkpoint over a migration: it handles every event once, although
//! the object's stream is replaced while it is stopped and again while it follows.

use std::collections::BTreeMap;

use esm_core::Result;
use esm_core::event::{Event, Position, Schema};
use esm_core::id::{EventType, ObjectId};
use esm_core::migration::MigrationResult;
use esm_core::router::{ExpectedRevision, ReadPosition};
use esm_core::transform::{FunctionTransformer, Transformed};
use esm_library_examples::{Shop, event};
use futures::TryStreamExt as _;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The read model of one order, with the checkpoint that belongs to it. Both are saved together: in
/// a database that is one transaction.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
struct Parcels {
    /// Events handled, by type.
    handled: BTreeMap<String, u64>,
    /// The weight of all parcels that were sent.
    grams: u64,
    /// The place after the last event that was handled.
    checkpoint: Option<Position>,
}

impl Parcels {
    /// Knows the old and the new schema: history before the checkpoint's stream was closed arrives
    /// as it was written, what came since as the migration wrote it.
    fn apply(&mut self, event: &Event) {
        let payload: Value = serde_json::from_slice(&event.payload).unwrap_or_default();
        let event_type = event.event_type.as_str();
        if matches!(event_type, "OrderShipped" | "ParcelPacked") {
            self.grams += payload["weight_grams"].as_u64().unwrap_or_default();
        }
        *self.handled.entry(event_type.to_owned()).or_default() += 1;
    }

    /// Handles what came since the checkpoint, up to the present end.
    async fn catch_up(&mut self, shop: &Shop, order: &ObjectId) -> Result<()> {
        let from = match &self.checkpoint {
            Some(position) => ReadPosition::At(position.clone()),
            None => ReadPosition::Start,
        };
        let mut events = shop.orders.read(order, from);
        while let Some(recorded) = events.try_next().await? {
            self.apply(&recorded.event);
            self.checkpoint = Some(recorded.next());
        }
        Ok(())
    }

    fn total(&self) -> u64 {
        self.handled.values().sum()
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let shop = Shop::in_memory().await?;
    let order = shop.place_order(1003, "Zoë").await?;

    let mut parcels = Parcels::default();
    parcels.catch_up(&shop, &order).await?;
    assert_eq!((parcels.total(), parcels.grams), (4, 850));

    // the read model is stored with its checkpoint, and the projection stops
    let stored = serde_json::to_string(&parcels).expect("plain data");
    println!("stored: {stored}");

    // one more parcel in the old schema, then the migration, then one in the new schema
    append(&shop, &order, "2", "OrderShipped", 100).await?;
    assert!(migrate(&shop, &order).await?.is_success());
    append(&shop, &order, "3", "ParcelPacked", 50).await?;

    // it starts again: the checkpoint names a place in the stream that is closed by now
    let mut parcels: Parcels = serde_json::from_str(&stored).expect("it was written above");
    parcels.catch_up(&shop, &order).await?;
    println!(
        "caught up: {}",
        serde_json::to_string(&parcels).expect("plain data")
    );
    assert_eq!((parcels.total(), parcels.grams), (6, 1_000));

    // rebuilt from the beginning, it sees the history as the migration wrote it
    let mut rebuilt = Parcels::default();
    rebuilt.catch_up(&shop, &order).await?;
    assert_eq!(rebuilt.grams, parcels.grams);
    assert_eq!(rebuilt.checkpoint, parcels.checkpoint);
    assert_eq!(rebuilt.handled.get("OrderShipped"), None);

    // and a tail goes over the next migration without noticing
    let from = ReadPosition::At(parcels.checkpoint.clone().expect("events were handled"));
    let mut tail = shop.orders.tail(&order, from);
    assert!(
        shop.service
            .migrate(order.clone())
            .execute()
            .await?
            .is_success()
    );
    append(&shop, &order, "4", "ParcelPacked", 25).await?;
    let next = tail
        .try_next()
        .await?
        .expect("a tail has no end of its own");
    parcels.apply(&next.event);
    assert_eq!((parcels.total(), parcels.grams), (7, 1_025));
    println!("followed to {}", next.next());
    Ok(())
}

async fn append(
    shop: &Shop,
    order: &ObjectId,
    id: &str,
    event_type: &str,
    grams: u64,
) -> Result<()> {
    let sent = event(id, event_type, &json!({ "weight_grams": grams }))?;
    shop.orders
        .append(order, ExpectedRevision::Any, vec![sent])
        .await?;
    Ok(())
}

/// Renames the type of every shipment, and drops the notes.
async fn migrate(shop: &Shop, order: &ObjectId) -> Result<MigrationResult> {
    let changed = [
        Schema::new("OrderShipped", 1)?,
        Schema::new("NoteTaken", 1)?,
    ];
    let packed = EventType::new("ParcelPacked")?;
    let parcels = FunctionTransformer::new("parcels", 1, changed, move |event, _context| {
        if event.event_type.as_str() == "NoteTaken" {
            return Ok(Transformed::dropped("notes are not kept"));
        }
        let mut event = event.clone();
        event.event_type = packed.clone();
        Ok(Transformed::Events(vec![event]))
    })?;
    shop.service
        .migrate(order.clone())
        .transform(parcels)
        .execute()
        .await
}
