//! A plan, a migration, and reading on at the same object.

use esm_core::Result;
use esm_core::event::Schema;
use esm_core::router::ExpectedRevision;
use esm_core::transform::{FunctionTransformer, Transformed};
use esm_library_examples::{Shop, event, types};
use serde_json::json;

#[tokio::main]
async fn main() -> Result<()> {
    let shop = Shop::in_memory().await?;
    let order = shop.place_order(1003, "Zoë").await?;
    let before = shop.orders.load(&order).await?;
    println!("before, in stream {}:", before.stream().stream);
    shop.print(&order).await?;

    // a plan does all that a migration does, but for writing
    let plan = shop
        .service
        .migrate(order.clone())
        .transform(without_notes()?)
        .dry_run()
        .await?;
    println!(
        "\nplanned: {} events become {}",
        plan.events, plan.ledger.outputs
    );

    let result = shop
        .service
        .migrate(order.clone())
        .to_stream("order-1003-v2")
        .transform(without_notes()?)
        .execute()
        .await?;
    assert!(result.is_success(), "{:?}", result.error);

    println!(
        "\nafter, in stream {}:",
        shop.orders.load(&order).await?.stream().stream
    );
    shop.print(&order).await?;
    let events = shop.events(&order).await?;
    assert_eq!(
        types(&events),
        ["OrderPlaced", "PaymentReceived", "OrderShipped"]
    );

    // a program that does not know of the migration appends at the position that it knows; the
    // closed stream names the one to continue in
    let delivered = event("delivered", "OrderDelivered", &json!({}))?;
    let appended = shop
        .orders
        .append(
            &order,
            ExpectedRevision::At(before.position()),
            vec![delivered],
        )
        .await?;
    println!("\nappended on at {}", appended.first);
    assert_ne!(&appended.stream, before.stream());
    Ok(())
}

fn without_notes() -> Result<FunctionTransformer> {
    let notes = [Schema::new("NoteTaken", 1)?];
    FunctionTransformer::new("without-notes", 1, notes, |_event, _context| {
        Ok(Transformed::dropped("notes are not kept"))
    })
}
