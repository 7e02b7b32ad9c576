//! Payloads by their Rust types: changing, splitting and dropping, put together as one pipeline.

use esm_core::Result;
use esm_core::event::Schema;
use esm_core::transform::{CompositeTransformer, FunctionTransformer, TransformError, Transformed};
use esm_library_examples::{Shop, event, types};
use serde::{Deserialize, Serialize};
use serde_json::Value;

#[derive(Deserialize)]
struct PlacedV1 {
    customer: String,
}

#[derive(Serialize)]
struct PlacedV2 {
    first_name: String,
    last_name: Option<String>,
}

#[tokio::main]
async fn main() -> Result<()> {
    let shop = Shop::in_memory().await?;
    let order = shop.place_order(1003, "Zoë Müller").await?;

    let second_edition = CompositeTransformer::new()
        .with(named_customers()?)
        .with(split_shipments()?)
        .with(without_notes()?);
    let result = shop
        .service
        .migrate(order.clone())
        .transform(second_edition)
        .execute()
        .await?;
    assert!(result.is_success(), "{:?}", result.error);

    shop.print(&order).await?;
    let ledger = result.statistics.counts.ledger;
    println!(
        "{} events became {}, {} dropped",
        ledger.source,
        ledger.outputs,
        ledger.dropped()
    );
    let events = shop.events(&order).await?;
    assert_eq!(
        types(&events),
        [
            "OrderPlaced",
            "PaymentReceived",
            "ParcelPacked",
            "ParcelDispatched"
        ]
    );
    assert_eq!(events[0].schema(), Schema::new("OrderPlaced", 2)?);
    assert_eq!(
        &events[0].payload[..],
        "{\"first_name\":\"Zoë\",\"last_name\":\"Müller\"}".as_bytes()
    );
    Ok(())
}

/// From one Rust type to another; the closure may also return an `Option`, a `Vec` or a `Result`.
fn named_customers() -> Result<FunctionTransformer> {
    FunctionTransformer::typed::<PlacedV1, PlacedV2>(
        "named-customers",
        1,
        Schema::new("OrderPlaced", 1)?,
        Schema::new("OrderPlaced", 2)?,
        |old: PlacedV1| match old.customer.split_once(' ') {
            Some((first, last)) => PlacedV2 {
                first_name: first.to_owned(),
                last_name: Some(last.to_owned()),
            },
            None => PlacedV2 {
                first_name: old.customer,
                last_name: None,
            },
        },
    )
}

/// On whole events: several outputs get ids derived from the source's.
fn split_shipments() -> Result<FunctionTransformer> {
    let shipped = [Schema::new("OrderShipped", 1)?];
    FunctionTransformer::new("split-shipments", 1, shipped, |shipped, _context| {
        let failed = |e: &dyn std::fmt::Display| TransformError::new("shipment", e.to_string());
        let data: Value = serde_json::from_slice(&shipped.payload).map_err(|e| failed(&e))?;
        let part = |event_type, field: &str| {
            let payload = serde_json::json!({ field: data[field] });
            let mut part = event(shipped.id.as_str(), event_type, &payload)?;
            part.time.clone_from(&shipped.time);
            Ok::<_, esm_core::Error>(part)
        };
        let parts = [
            part("ParcelPacked", "weight_grams"),
            part("ParcelDispatched", "carrier"),
        ];
        let parts: Result<Vec<_>> = parts.into_iter().collect();
        Ok(Transformed::Events(parts.map_err(|e| failed(&e))?))
    })
}

fn without_notes() -> Result<FunctionTransformer> {
    let notes = [Schema::new("NoteTaken", 1)?];
    FunctionTransformer::new("without-notes", 1, notes, |_event, _context| {
        Ok(Transformed::dropped("notes are not kept"))
    })
}
