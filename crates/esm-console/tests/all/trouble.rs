//! Stores that go away, and records that cannot be read.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use esm_console::{Console, ConsoleOptions, Source};
use esm_core::store::RecordKey;
use esm_core::{Error, ErrorKind, Result};
use esm_testkit::tap::{Call, Tap, TappedRecords};

use crate::world::{Browser, LISTENING, Shop};

/// Fails every call while the store is away.
#[derive(Debug, Clone, Default)]
struct Away(Arc<AtomicBool>);

impl Tap for Away {
    type Started = ();

    async fn begin(&self, call: Call) -> Result<()> {
        if self.0.load(Ordering::SeqCst) {
            return Err(Error::new(
                ErrorKind::Unavailable,
                format!("connection refused: {}", call.name),
            ));
        }
        Ok(())
    }

    fn twice(&self, (): &()) -> bool {
        false
    }

    async fn end<T: Send>(&self, (): (), result: Result<T>) -> Result<T> {
        result
    }
}

/// Fails every read of the records of a migration.
#[derive(Debug, Clone)]
struct Unreadable(String);

impl Tap for Unreadable {
    type Started = ();

    async fn begin(&self, call: Call) -> Result<()> {
        if format!("{call:?}").contains(&self.0) {
            return Err(Error::unsupported("the records are too new"));
        }
        Ok(())
    }

    fn twice(&self, (): &()) -> bool {
        false
    }

    async fn end<T: Send>(&self, (): (), result: Result<T>) -> Result<T> {
        result
    }
}

async fn console(shop: &Shop, away: &Away) -> Browser {
    let world = &shop.world;
    let records = Arc::new(TappedRecords::new(world.records(), away.clone()));
    let source = Source::new("memory:", world.event_store(), records, world.locks())
        .with_environment(world.environment.clone());
    let console = Console::new(vec![source], ConsoleOptions::new().listening(LISTENING)).unwrap();
    Browser::signed_in(console).await
}

#[tokio::test(start_paused = true)]
async fn a_store_that_goes_away_is_said_to_be_away_and_comes_back() -> Result<()> {
    let shop = Shop::new().await?;
    let migration = shop.migrate().await?;
    let away = Away::default();
    let browser = console(&shop, &away).await;
    let path = format!("/s/{}/migrations/{migration}", shop.slug());
    let fresh = browser.get(&path).await;
    assert!(!fresh.headers.contains_key("x-esm-stale"));
    away.0.store(true, Ordering::SeqCst);
    shop.world
        .environment
        .clock
        .sleep(Duration::from_secs(3))
        .await;
    let stale = browser.get(&path).await;
    assert_eq!(stale.status, 200);
    assert!(stale.headers.contains_key("x-esm-stale"));
    for part in [
        "The store does not answer",
        "as of",
        "connection refused",
        "completed",
    ] {
        assert!(stale.text().contains(part), "{part}: {}", stale.text());
    }
    // what was never read is not shown as if it were empty
    let unknown = browser.get(&format!("/s/{}/objects", shop.slug())).await;
    assert_eq!(unknown.status, 502, "{}", unknown.text());
    assert!(browser.page("/").await.contains("cannot be read"));
    assert!(
        browser
            .page("/metrics")
            .await
            .contains("esm_store_up{store=\"memory:\"} 0")
    );
    away.0.store(false, Ordering::SeqCst);
    shop.world
        .environment
        .clock
        .sleep(Duration::from_secs(3))
        .await;
    assert!(!browser.get(&path).await.headers.contains_key("x-esm-stale"));
    assert!(browser.page("/").await.contains("1 migration"));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn one_migration_of_a_newer_version_hides_no_other() -> Result<()> {
    let shop = Shop::new().await?;
    let readable = shop.migrate().await?;
    let records = shop.world.records();
    let newer = r#"{"format":99,"record":"command"}"#;
    // one with a command, one with a journal, and the index
    let (commanded, journaled) = (
        shop.world.environment.migration_id(),
        shop.world.environment.migration_id(),
    );
    let journal = RecordKey::Journal(readable);
    let mut number = 0;
    while let Some(record) = records.get(&journal, number).await? {
        // without its end
        if !String::from_utf8_lossy(&record.body).contains("\"finished\"") {
            records
                .put(&RecordKey::Journal(commanded), number, record.body)
                .await?;
        }
        number += 1;
    }
    records
        .put(&RecordKey::Control(commanded), 0, newer.into())
        .await?;
    records
        .put(&RecordKey::Journal(journaled), 0, newer.into())
        .await?;
    let index = records.latest(&RecordKey::Index).await?;
    let next = index.map_or(0, |record| record.number + 1);
    records
        .put(
            &RecordKey::Index,
            next,
            r#"{"format":99,"migrations":{}}"#.into(),
        )
        .await?;
    let browser = console(&shop, &Away::default()).await;
    let all = browser.page("/").await;
    for part in [
        &readable.to_string(),
        &commanded.to_string(),
        &journaled.to_string(),
        "completed",
        "Its commands cannot be read",
        "use a newer version of esm",
    ] {
        assert!(all.contains(part), "{part}: {all}");
    }
    let page = |migration| format!("/s/{}/migrations/{migration}", shop.slug());
    let one = browser.page(&page(commanded)).await;
    assert!(one.contains("They cannot be read to their end"), "{one}");
    let one = browser.page(&page(journaled)).await;
    assert!(one.contains("Use a newer version of esm"), "{one}");
    assert!(!one.contains("igrate the same objects"), "{one}");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn one_migration_that_cannot_be_read_is_shown_as_such_and_hides_no_other() -> Result<()> {
    let shop = Shop::new().await?;
    let (readable, unreadable) = (shop.migrate().await?, shop.migrate().await?);
    let world = &shop.world;
    let records = Arc::new(TappedRecords::new(
        world.records(),
        Unreadable(unreadable.to_string()),
    ));
    let source = Source::new("memory:", world.event_store(), records, world.locks())
        .with_environment(world.environment.clone());
    let console = Console::new(vec![source], ConsoleOptions::new().listening(LISTENING))?;
    let browser = Browser::signed_in(console).await;
    let all = browser.page("/").await;
    for part in [
        &readable.to_string(),
        "completed",
        "cannot be read",
        "too new",
    ] {
        assert!(all.contains(part), "{part}: {all}");
    }
    let json = browser
        .get(&format!("/api/v1/stores/{}/migrations", shop.slug()))
        .await;
    let json = json.json();
    assert_eq!(json["unreadable"][0]["migration"], unreadable.to_string());
    assert_eq!(json["migrations"].as_array().unwrap().len(), 1);
    assert!(json["migrations"][0]["observed_at"].is_string(), "{json}");
    let metrics = browser.page("/metrics").await;
    assert!(metrics.contains("condition=\"unreadable\"} 1"), "{metrics}");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn records_of_a_newer_version_or_damaged_ones_give_a_page() -> Result<()> {
    let shop = Shop::new().await?;
    let migration = shop.migrate().await?;
    let records = shop.world.records();
    let newer = RecordKey::Progress(migration);
    let body = serde_json::json!({"format": 99}).to_string();
    let next = records
        .latest(&newer)
        .await?
        .map_or(0, |record| record.number + 1);
    records.put(&newer, next, body.into()).await?;
    let damaged = shop.world.environment.migration_id();
    records
        .put(&RecordKey::Journal(damaged), 0, "nonsense".into())
        .await?;
    let browser = console(&shop, &Away::default()).await;
    browser
        .page(&format!("/s/{}/migrations/{migration}", shop.slug()))
        .await;
    let page = browser
        .page(&format!("/s/{}/migrations/{damaged}", shop.slug()))
        .await;
    assert!(page.contains("its journal is damaged"), "{page}");
    let all = browser.page("/").await;
    assert!(
        all.contains("damaged") && all.contains("completed"),
        "{all}"
    );
    Ok(())
}
