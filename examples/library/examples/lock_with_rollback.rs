//! Waiting for a lock, and a check of one's own that fails: everything is undone, and the old
//! stream is as it was.

use std::time::Duration;

use esm_core::Result;
use esm_core::migration::{ComparedStreams, MigrationStatus};
use esm_core::router::ExpectedRevision;
use esm_library_examples::{Shop, event};
use futures::TryStreamExt as _;
use serde_json::json;

#[tokio::main]
async fn main() -> Result<()> {
    let shop = Shop::in_memory().await?;
    let order = shop.place_order(1003, "Zoë").await?;
    let before = shop.orders.load(&order).await?;

    let result = shop
        .service
        .migrate(order.clone())
        .lock(|lock| {
            lock.timeout(Duration::from_secs(5)) // how long to wait for another holder
                .lease(Duration::from_secs(30)) // how long it holds if this process dies
                .heartbeat(Duration::from_secs(5)) // how often it is renewed
        })
        .check_with("no notes", no_notes)
        .with_rollback()
        .execute()
        .await?;

    assert!(!result.is_success());
    assert_eq!(result.status, MigrationStatus::RolledBack);
    if let Some(error) = &result.error {
        println!("{}: {error}", result.status);
    }

    // nothing happened: the same stream is active, and it takes events
    let after = shop.orders.load(&order).await?;
    assert_eq!(after.stream(), before.stream());
    let delivered = event("delivered", "OrderDelivered", &json!({}))?;
    shop.orders
        .append(
            &order,
            ExpectedRevision::At(before.position()),
            vec![delivered],
        )
        .await?;
    println!("{} has {} events", order, shop.events(&order).await?.len());
    assert!(shop.store.locks().list().await?.is_empty());
    Ok(())
}

async fn no_notes(streams: ComparedStreams) -> std::result::Result<(), String> {
    let mut events = streams.target_events();
    while let Some(event) = events.try_next().await.map_err(|e| e.to_string())? {
        if event.event_type.as_str() == "NoteTaken" {
            return Err(format!("a note would be kept: {}", event.id));
        }
    }
    Ok(())
}
