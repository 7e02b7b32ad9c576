//! Commands from the browser, to a migration that runs.

use std::time::Duration;

use esm_console::ConsoleOptions;
use esm_core::Result;
use esm_core::id::MigrationId;
use esm_core::migration::{
    CutoverOptions, HookPoint, Hooks, MigrationBuilder, MigrationResult, MigrationStatus,
    PublishPhases,
};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::world::{Browser, Shop, transformer};

/// A migration that waits for the command to cut over.
pub(crate) async fn waiting(shop: &Shop) -> (MigrationId, JoinHandle<Result<MigrationResult>>) {
    let migrating = shop
        .service()
        .migrate(shop.order.clone())
        .transform(transformer())
        .cutover(CutoverOptions::default().manual());
    begin(shop, migrating).await
}

/// Begins a migration, and waits until it waits.
async fn begin(
    shop: &Shop,
    migrating: MigrationBuilder,
) -> (MigrationId, JoinHandle<Result<MigrationResult>>) {
    let running = tokio::spawn(migrating.execute());
    let service = shop.service();
    loop {
        shop.world
            .environment
            .clock
            .sleep(Duration::from_secs(1))
            .await;
        let newest = service.newest(1).await.unwrap().migrations;
        let Some(state) = newest.first() else {
            continue;
        };
        let seen = service.observe(state.migration).await.unwrap();
        if seen.progress.is_some_and(|p| p.waiting_for.is_some()) {
            return (state.migration, running);
        }
    }
}

async fn give(
    browser: &Browser,
    shop: &Shop,
    migration: MigrationId,
    act: &str,
    body: Value,
) -> (u16, Value) {
    let path = format!("/s/{}/migrations/{migration}/{act}", shop.slug());
    let reply = browser.post(&path, &body).await;
    (reply.status.as_u16(), reply.json())
}

fn because() -> Value {
    json!({"reason": "the window is open"})
}

#[tokio::test(start_paused = true)]
async fn two_operators_approve_at_once_and_one_of_them_is_refused() -> Result<()> {
    let shop = Shop::new().await?;
    let (migration, running) = waiting(&shop).await;
    let browser = shop
        .browser(ConsoleOptions::new().allow_control("eve"))
        .await;
    let address = format!("/s/{}/migrations/{migration}", shop.slug());
    let page = browser.page(&address).await;
    for part in [
        "Approve the cutover",
        "For a person",
        "esm cutover",
        "Roll the migration back",
        "data-expected",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(!page.contains("Withdraw the approval"), "{page}");
    let (one, other) = tokio::join!(
        give(&browser, &shop, migration, "cutover", because()),
        give(&browser, &shop, migration, "cutover", because()),
    );
    let refused = |reply: &(u16, Value)| reply.1["refused"] == true;
    assert_ne!(refused(&one), refused(&other), "{one:?} {other:?}");
    assert!(running.await.unwrap()?.is_success());
    shop.world
        .environment
        .clock
        .sleep(Duration::from_secs(3))
        .await;
    let page = browser.page(&address).await;
    for part in [
        "<td>eve</td>",
        "<q>the window is open</q>",
        "refused",
        "completed",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let (status, json) = give(&browser, &shop, migration, "pause", because()).await;
    assert_eq!(status, 409, "{json}");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_migration_is_paused_resumed_changed_and_cancelled() -> Result<()> {
    let shop = Shop::new().await?;
    let (migration, running) = waiting(&shop).await;
    let browser = shop
        .browser(ConsoleOptions::new().allow_control("eve"))
        .await;
    let settings =
        json!({"reason": "slower", "settings": {"events_per_second": 5, "concurrency": 2}});
    for (act, body) in [
        ("set", settings),
        ("pause", because()),
        ("resume", because()),
    ] {
        let (status, json) = give(&browser, &shop, migration, act, body).await;
        assert_eq!(
            (status, &json["refused"]),
            (200, &json!(false)),
            "{act}: {json}"
        );
    }
    let seen = shop.service().observe(migration).await?;
    assert_eq!(seen.desired.settings.concurrency, Some(2));
    let short = migration.to_string();
    let short = &short[short.len() - 8..];
    let body = json!({"reason": "wrong program", "confirm": short});
    let (status, json) = give(&browser, &shop, migration, "cancel", body).await;
    assert_eq!(status, 200, "{json}");
    let result = running.await.unwrap()?;
    assert_eq!(result.status, MigrationStatus::Cancelled);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn the_objects_under_way_have_a_phase_and_a_lag() -> Result<()> {
    let shop = Shop::new().await?;
    let migrating = shop
        .service()
        .migrate(shop.order.clone())
        .transform(transformer())
        .phases(PublishPhases::Always)
        .cutover(CutoverOptions::default().manual());
    let (migration, running) = begin(&shop, migrating).await;
    let browser = shop.browser(ConsoleOptions::new()).await;
    let path = format!("/s/{}/migrations/{migration}/objects", shop.slug());
    let page = browser.page(&path).await;
    for part in ["order/1 ?#%", "<td>dual read</td>", "1 object in all"] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let json = browser
        .get(&path.replacen("/s/", "/api/v1/stores/", 1))
        .await;
    let json = json.json();
    assert_eq!(json["objects"][0]["events"], 4, "{json}");
    assert_eq!(json["objects"][0]["lag"], 0, "{json}");
    assert_eq!(json["total"], 1);
    running.abort();
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_reason_cannot_imitate_an_author() -> Result<()> {
    let shop = Shop::new().await?;
    let (migration, running) = waiting(&shop).await;
    let browser = shop
        .browser(ConsoleOptions::new().allow_control("eve"))
        .await;
    let lie = json!({"reason": "all is well (approved by ann@ops)"});
    let (status, json) = give(&browser, &shop, migration, "pause", lie).await;
    assert_eq!(status, 200, "{json}");
    assert_eq!(json["command"]["author"], "eve");
    let desired = shop.service().observe(migration).await?.desired;
    assert_eq!(desired.paused_by.as_deref(), Some("eve"));
    let page = browser
        .page(&format!("/s/{}/migrations/{migration}", shop.slug()))
        .await;
    assert!(page.contains("<td>eve</td>"), "{page}");
    assert!(
        page.contains("<q>all is well (approved by ann@ops)</q>"),
        "{page}"
    );
    running.abort();
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_process_that_dies_while_it_is_paused_is_not_shown_as_resting() -> Result<()> {
    let shop = Shop::new().await?;
    let (migration, running) = waiting(&shop).await;
    let browser = shop
        .browser(ConsoleOptions::new().allow_control("eve"))
        .await;
    give(&browser, &shop, migration, "pause", because()).await;
    let address = format!("/s/{}/migrations/{migration}", shop.slug());
    let clock = &shop.world.environment.clock;
    clock.sleep(Duration::from_secs(3)).await;
    let page = browser.page(&address).await;
    assert!(page.contains("it rests on request"), "{page}");
    running.abort();
    clock.sleep(Duration::from_secs(3_600)).await;
    let page = browser.page(&address).await;
    for part in [
        "its process has ended",
        "being resumed; paused by eve",
        "esm resume",
    ] {
        assert!(page.to_lowercase().contains(part), "{part}: {page}");
    }
    assert!(!page.contains("it rests on request"), "{page}");
    let all = browser.page("/").await;
    assert!(all.contains("nobody works on it"), "{all}");
    Ok(())
}

/// What the page of a migration offers.
async fn offered(browser: &Browser, shop: &Shop, migration: MigrationId) -> Vec<&'static str> {
    let clock = &shop.world.environment.clock;
    clock.sleep(Duration::from_secs(3)).await;
    let page = browser
        .page(&format!("/s/{}/migrations/{migration}", shop.slug()))
        .await;
    let all = [
        "cutover", "withdraw", "pause", "resume", "set", "cancel", "rollback",
    ];
    let is_offered = |act: &&str| page.contains(&format!("data-dialog=\"{act}\""));
    all.into_iter().filter(is_offered).collect()
}

#[tokio::test(start_paused = true)]
async fn only_what_is_possible_is_offered() -> Result<()> {
    let shop = Shop::new().await?;
    let (migration, running) = waiting(&shop).await;
    let browser = shop
        .browser(ConsoleOptions::new().allow_control("eve"))
        .await;
    let ready = ["cutover", "pause", "set", "cancel", "rollback"];
    assert_eq!(offered(&browser, &shop, migration).await, ready);
    give(&browser, &shop, migration, "pause", because()).await;
    let paused = ["cutover", "resume", "set", "cancel", "rollback"];
    assert_eq!(offered(&browser, &shop, migration).await, paused);
    running.abort();

    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_has_cut_over_cannot_be_cancelled_any_more() -> Result<()> {
    let shop = Shop::new().await?;
    let (closed, is_closed) = tokio::sync::mpsc::unbounded_channel();
    let hooks = Hooks::default().timeout(Duration::MAX);
    let hooks = hooks.on(HookPoint::AfterCutover, "never returns", move |event| {
        let closed = closed.clone();
        async move {
            let _ = closed.send(event.migration);
            std::future::pending().await
        }
    });
    let migrating = shop.service().migrate(shop.order.clone());
    let running = tokio::spawn(migrating.transform(transformer()).hooks(hooks).execute());
    let mut is_closed = is_closed;
    let migration = is_closed.recv().await.unwrap();
    let browser = shop
        .browser(ConsoleOptions::new().allow_control("eve"))
        .await;
    assert_eq!(offered(&browser, &shop, migration).await, ["pause", "set"]);
    running.abort();
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_command_needs_a_reason_and_a_final_one_the_id() -> Result<()> {
    let shop = Shop::new().await?;
    let migration = shop.migrate().await?;
    let browser = shop
        .browser(ConsoleOptions::new().allow_control("eve"))
        .await;
    for (act, body) in [
        ("pause", json!({})),
        ("pause", json!({"reason": "  "})),
        ("pause", json!({"reason": "x".repeat(501)})),
        ("pause", json!({"reason": "x", "other": 1})),
        ("pause", json!([])),
        ("cancel", json!({"reason": "x"})),
        ("rollback", json!({"reason": "x", "confirm": "1"})),
        ("set", json!({"reason": "x"})),
        (
            "set",
            json!({"reason": "x", "settings": {"concurrency": 0}}),
        ),
    ] {
        let (status, json) = give(&browser, &shop, migration, act, body.clone()).await;
        assert_eq!(status, 400, "{act} {body}: {json}");
        assert!(json["error"]["message"].is_string(), "{json}");
    }
    let path = format!("/s/{}/migrations/{migration}/pause", shop.slug());
    let request = browser.request(axum::http::Method::POST, &path);
    let request = request.header("content-type", "text/plain");
    let body = axum::body::Body::from(because().to_string());
    assert_eq!(browser.send(request.body(body).unwrap()).await.status, 400);
    assert!(
        shop.service()
            .control(migration)
            .state()
            .await?
            .commands
            .is_empty()
    );
    let unknown = browser
        .post(&path.replace("pause", "explode"), &because())
        .await;
    assert_eq!(unknown.status, 404);
    Ok(())
}
