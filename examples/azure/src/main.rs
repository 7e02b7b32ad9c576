//! An order moves from a local directory to Azure Blob Storage and back, while its application
//! continues to append.
//!
//! ```console
//! $ cargo run -p esm-azure-example                                    # on an Azurite of its own
//! $ AZURE_STORAGE_CONNECTION_STRING=… ESM_EXAMPLE=az://container/prefix cargo run -p esm-azure-example
//! ```

use esm_azure::{Connection, OpenOptions};
use esm_core::backup::BackupOptions;
use esm_core::clock::Environment;
use esm_core::event::Event;
use esm_core::id::{EventId, EventType, ObjectId};
use esm_core::migration::MigrationService;
use esm_core::router::{ExpectedRevision, ObjectClient, ReadPosition};
use esm_core::store::Stores;
use esm_core::{Error, Result};
use esm_testkit::containers;
use futures::TryStreamExt as _;

#[tokio::main]
async fn main() -> Result<()> {
    let Some((connection, address)) = account().await? else {
        // what is missing was printed
        return Ok(());
    };

    // At home, documents, journals and locks stay where they are; only events move.
    let directory = tempfile::tempdir()
        .map_err(|e| Error::invalid("no temporary directory can be made").with_source(e))?;
    let home = directory.path().join("shop");
    let home = esm_objectstore::open_or_create(
        &home.display().to_string(),
        esm_objectstore::OpenOptions::new(),
    )
    .await?;
    let azure = esm_azure::open_or_create(&connection, &address, OpenOptions::new()).await?;
    println!(
        "from {} to {}, {}",
        home.location(),
        azure.location(),
        azure.id()
    );

    // The application knows both stores. Which one an order is in is none of its business.
    let stores = Stores::new(home.event_store()).with(azure.event_store());
    let orders = ObjectClient::new(home.records(), stores.clone(), Environment::system());
    let order: ObjectId = "order/1003".parse()?;
    orders
        .append(&order, ExpectedRevision::NoStream, vec![event("placed")?])
        .await?;

    // There, with the backup in Azure too.
    let service =
        MigrationService::new(stores, home.records(), home.locks()).with_backups(azure.backups());
    let there = service
        .migrate(order.clone())
        .to_store(azure.event_store())
        .backup(BackupOptions::new().include_document());
    let result = there.execute().await?;
    assert!(result.is_success(), "{result:?}");
    assert_eq!(orders.load(&order).await?.stream().store, azure.id());
    orders
        .append(&order, ExpectedRevision::Any, vec![event("paid")?])
        .await?;

    // And back, with all that happened meanwhile.
    let back = service
        .migrate(order.clone())
        .again()
        .to_store(home.event_store());
    let result = back.execute().await?;
    assert!(result.is_success(), "{result:?}");
    assert_eq!(orders.load(&order).await?.stream().store, home.id());
    orders
        .append(&order, ExpectedRevision::Any, vec![event("shipped")?])
        .await?;

    let events = orders.read(&order, ReadPosition::Start);
    let events: Vec<Event> = events
        .map_ok(|recorded| recorded.event)
        .try_collect()
        .await?;
    let ids: Vec<&str> = events.iter().map(|event| event.id.as_str()).collect();
    assert_eq!(ids, ["placed", "paid", "shipped"]);
    println!("{order} has {ids:?}, and has been to Azure and back");
    Ok(())
}

/// The account that the environment names, or an Azurite; nothing where there is neither.
async fn account() -> Result<Option<(Connection, String)>> {
    if let Ok(address) = std::env::var("ESM_EXAMPLE") {
        return Ok(Some((Connection::from_environment()?, address)));
    }
    let Some(azurite) = containers::azurite().await else {
        return Ok(None);
    };
    let connection = Connection::from_connection_string(&azurite.connection_string())?;
    let prefix = Environment::system().uuid_v4();
    let address = format!("az://{}/example-{prefix}", azurite.container());
    Ok(Some((connection, address)))
}

fn event(what: &str) -> Result<Event> {
    let (id, event_type) = (EventId::new(what)?, EventType::new("OrderChanged")?);
    Ok(Event::new(id, event_type, "{}"))
}
