//! Locks that are broken, and backups that are verified, from the browser.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use esm_console::{Console, ConsoleOptions, Source};
use esm_core::Result;
use esm_core::backup::{BackupOptions, BackupService};
use esm_core::id::{BackupId, FencingToken, HolderId, LockName};
use esm_core::migration::Scope;
use esm_core::store::{LockAttempt, LockGrant, LockInfo, LockProvider, LockRequest};
use serde_json::json;

use crate::world::{Browser, LISTENING, Shop};

/// Locks whose holders have not renewed them for an hour, as far as anybody sees.
#[derive(Debug)]
struct Silent(Arc<dyn LockProvider>);

fn silent(lock: LockInfo) -> LockInfo {
    LockInfo {
        renewed_at: Some(lock.acquired_at - Duration::from_secs(3_600)),
        ..lock
    }
}

#[async_trait]
impl LockProvider for Silent {
    fn name(&self) -> &str {
        self.0.name()
    }

    async fn try_acquire(&self, name: &LockName, request: &LockRequest) -> Result<LockAttempt> {
        self.0.try_acquire(name, request).await
    }

    async fn renew(&self, grant: &LockGrant) -> Result<()> {
        self.0.renew(grant).await
    }

    async fn release(&self, grant: &LockGrant) -> Result<()> {
        self.0.release(grant).await
    }

    async fn inspect(&self, name: &LockName) -> Result<Option<LockInfo>> {
        Ok(self.0.inspect(name).await?.map(silent))
    }

    async fn list(&self) -> Result<Vec<LockInfo>> {
        Ok(self.0.list().await?.into_iter().map(silent).collect())
    }

    async fn break_lock(&self, name: &LockName, token: FencingToken) -> Result<()> {
        self.0.break_lock(name, token).await
    }
}

async fn hold(shop: &Shop, name: &LockName) -> Result<FencingToken> {
    let request = LockRequest {
        holder: HolderId::new("ann@laptop:1")?,
        lease: Duration::from_secs(60),
        migration: None,
        at: shop.world.environment.clock.now(),
        process: None,
    };
    match shop.world.locks().try_acquire(name, &request).await? {
        LockAttempt::Acquired(grant) => Ok(grant.token),
        LockAttempt::Held(other) => panic!("held: {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_lock_is_broken_only_where_its_holder_seems_dead_and_only_the_one_that_was_shown()
-> Result<()> {
    let shop = Shop::new().await?;
    let name: LockName = "object order/<1>".parse()?;
    let token = hold(&shop, &name).await?;
    let options = || ConsoleOptions::new().allow_control("eve");
    let path = format!("/s/{}/locks", shop.slug());
    let shown = json!({"name": name, "token": token.0.to_string()});

    let alive = shop.browser(options()).await;
    assert!(!alive.page(&path).await.contains("Break the lock"));
    let reply = alive.post(&format!("{path}/break"), &shown).await;
    assert_eq!(reply.status, 409, "{}", reply.text());

    let world = &shop.world;
    let (events, records) = (world.event_store(), world.records());
    let locks = Arc::new(Silent(world.locks()));
    let source =
        Source::new("memory:", events, records, locks).with_environment(world.environment.clone());
    let console = Console::new(vec![source.clone()], options().listening(LISTENING))?;
    let browser = Browser::signed_in(console).await;
    let page = browser.page(&path).await;
    for part in ["probably dead", "Break the lock", "esm lock break"] {
        assert!(page.contains(part), "{part}: {page}");
    }
    for (body, status) in [
        (json!({}), 400),
        (json!({"name": name, "token": "x"}), 400),
        (
            json!({"name": name, "token": (token.0 + 1).to_string()}),
            409,
        ),
        (json!({"name": "object order/2", "token": "1"}), 404),
    ] {
        let reply = browser.post(&format!("{path}/break"), &body).await;
        assert_eq!(reply.status, status, "{body}: {}", reply.text());
    }
    assert_eq!(shop.world.locks().list().await?.len(), 1);
    let reply = browser.post(&format!("{path}/break"), &shown).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert!(shop.world.locks().list().await?.is_empty());

    let reading = Console::new(vec![source], ConsoleOptions::new().listening(LISTENING))?;
    let reading = Browser::signed_in(reading).await;
    let reply = reading.post(&format!("{path}/break"), &shown).await;
    assert_eq!(reply.status, 404, "{}", reply.text());
    Ok(())
}

/// Begins to verify a backup, and waits for what comes of it.
async fn verified(browser: &Browser, shop: &Shop, id: &BackupId) -> String {
    let path = format!("/s/{}/backups", shop.slug());
    let body = json!({"place": "0", "id": id});
    let reply = browser.post(&format!("{path}/verify"), &body).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let clock = &shop.world.environment.clock;
    for _ in 0..100 {
        clock.sleep(Duration::from_secs(1)).await;
        let page = browser.page(&path).await;
        if !page.contains("is verified") {
            return page;
        }
    }
    panic!("it is never verified");
}

#[tokio::test(start_paused = true)]
async fn a_backup_is_verified_from_the_browser_and_a_damaged_one_is_said_to_be() -> Result<()> {
    let shop = Shop::new().await?;
    let world = &shop.world;
    let id = BackupId::new("yesterday")?;
    BackupService::new(world.event_store(), world.records(), world.backups())
        .with_environment(world.environment.clone())
        .create(&Scope::All, BackupOptions::new().id(id.clone()))
        .await?;
    let browser = shop
        .browser(ConsoleOptions::new().allow_control("eve"))
        .await;
    let page = verified(&browser, &shop, &id).await;
    assert!(page.contains("sound"), "{page}");
    assert!(world.backups.corrupt(&id), "there is no event");
    let page = verified(&browser, &shop, &id).await;
    assert!(page.contains("damaged"), "{page}");
    assert!(!page.contains("sound"), "{page}");

    let path = format!("/s/{}/backups/verify", shop.slug());
    for (body, status) in [
        (json!({"id": id}), 400),
        (json!({"place": "x", "id": id}), 400),
        (json!({"place": "7", "id": id}), 404),
    ] {
        let reply = browser.post(&path, &body).await;
        assert_eq!(reply.status, status, "{body}: {}", reply.text());
    }
    let reading = shop.browser(ConsoleOptions::new()).await;
    let page = reading.page(path.trim_end_matches("/verify")).await;
    assert!(page.contains("esm backup verify yesterday"), "{page}");
    let reply = reading.post(&path, &json!({"place": "0", "id": id})).await;
    assert_eq!(reply.status, 404, "{}", reply.text());
    Ok(())
}
