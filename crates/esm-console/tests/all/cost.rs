//! What pages cost the store.

use std::sync::Arc;

use esm_console::{Console, ConsoleOptions, Source};
use esm_core::Result;
use esm_core::id::{MigrationId, ObjectId};
use esm_core::object::ObjectDocument;
use esm_core::store::{RecordKey, RecordsExt as _};
use esm_testkit::record::Recorder;
use esm_testkit::tap::{OperationLog, TappedBackups, TappedEventStore, TappedLocks, TappedRecords};

use crate::world::{Browser, LISTENING, Shop};

/// Requests of a page, at most.
const MOST: u64 = 50;

/// A console whose requests are counted.
async fn counted(shop: &Shop) -> (Browser, OperationLog) {
    use esm_core::store::EventStore;
    let log = OperationLog::new();
    let tap = || Recorder::new("console", log.clone());
    let world = &shop.world;
    let store: Arc<dyn EventStore> = Arc::new(TappedEventStore::new(world.event_store(), tap()));
    let source = Source::new(
        "memory:",
        store,
        Arc::new(TappedRecords::new(world.records(), tap())),
        Arc::new(TappedLocks::new(world.locks(), tap())),
    )
    .with_environment(world.environment.clone())
    .with_backups(
        "memory:",
        Arc::new(TappedBackups::new(world.backups(), tap())),
    );
    let console = Console::new(vec![source], ConsoleOptions::new().listening(LISTENING)).unwrap();
    (Browser::signed_in(console).await, log)
}

/// A store with many objects and migrations; only their names and journals are there.
async fn large(objects: u64, migrations: u64) -> Result<(Shop, MigrationId)> {
    let shop = Shop::new().await?;
    let migration = shop.migrate().await?;
    let records = shop.world.records();
    let document = shop.world.document(&shop.order).await?;
    for number in 0..objects {
        let object: ObjectId = format!("item/{number:06}").parse()?;
        let document =
            ObjectDocument::new(object.clone(), document.active.clone(), document.created_at);
        records
            .put_as(&RecordKey::Document(object), 0, &document)
            .await?;
    }
    let mut journal = Vec::new();
    while let Some(record) = records
        .get(&RecordKey::Journal(migration), journal.len() as u64)
        .await?
    {
        journal.push(record.body);
    }
    for _ in 0..migrations {
        let copy = RecordKey::Journal(shop.world.environment.migration_id());
        for (number, body) in (0..).zip(&journal) {
            records.put(&copy, number, body.clone()).await?;
        }
    }
    Ok((shop, migration))
}

#[tokio::test(start_paused = true)]
async fn a_page_of_a_large_store_costs_few_requests() -> Result<()> {
    let (shop, migration) = large(100_000, 1_000).await?;
    let slug = shop.slug();
    for path in [
        "/".to_owned(),
        format!("/s/{slug}"),
        format!("/s/{slug}/migrations/{migration}"),
        format!("/s/{slug}/migrations/{migration}/plan"),
        format!("/s/{slug}/migrations/{migration}/objects"),
        format!("/s/{slug}/objects"),
        format!("/s/{slug}/objects?q=item/0999"),
        format!("/s/{slug}/objects/order/1%20%3F%23%25"),
        format!("/s/{slug}/locks"),
        format!("/s/{slug}/backups"),
        "/search?q=item/00".to_owned(),
        "/metrics".to_owned(),
    ] {
        // each page by a console that has read nothing
        let (browser, log) = counted(&shop).await;
        browser.page(&path).await;
        let cost = log.len();
        assert!(
            (1..MOST).contains(&cost),
            "{path}: {cost}: {:?}",
            log.names()
        );
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_is_not_read_yet_is_counted_and_read_in_time() -> Result<()> {
    let (shop, _) = large(0, 30).await?;
    let (browser, _) = counted(&shop).await;
    let page = browser.page("/").await;
    assert!(
        page.contains("31 migrations") && page.contains("not read yet"),
        "{page}"
    );
    for _ in 0..20 {
        shop.world
            .environment
            .clock
            .sleep(std::time::Duration::from_secs(2))
            .await;
        browser.page("/").await;
    }
    let page = browser.page("/").await;
    assert!(!page.contains("not read yet"), "{page}");
    assert!(page.contains("page 1 of 2"), "{page}");
    browser.page("/?page=1").await;
    browser.page("/?page=99").await;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn fifty_viewers_cost_what_one_costs() -> Result<()> {
    let (shop, migration) = large(0, 10).await?;
    let path = format!("/s/{}/migrations/{migration}", shop.slug());
    let (alone, log) = counted(&shop).await;
    alone.page(&path).await;
    let one = log.len();
    let (shared, log) = counted(&shop).await;
    let all = (0..50).map(|_| shared.page(&path));
    futures::future::join_all(all).await;
    assert_eq!(log.len(), one);
    // what has ended is read again for little
    shop.world
        .environment
        .clock
        .sleep(std::time::Duration::from_secs(2))
        .await;
    shared.page(&path).await;
    assert!(log.len() < 2 * one, "{} after {one}", log.len());
    Ok(())
}
