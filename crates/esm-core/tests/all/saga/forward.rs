//! What a migration does when nothing goes wrong.

use esm_core::ErrorKind;
use esm_core::backup::BackupOptions;
use esm_core::event::Revision;
use esm_core::id::{ObjectId, StreamId};
use esm_core::migration::BookClosingOptions;
use esm_core::migration::MigrationStatus;
use esm_core::migration::{OnFailure, Scope};
use esm_core::store::EventStoreExt as _;
use esm_testkit::event;

use crate::world::{World, rules};

/// The schemas of the events of the active stream.
async fn schemas(world: &World, object: &ObjectId) -> Vec<String> {
    let events = world.active_events(object).await;
    events.iter().map(|e| e.schema().to_string()).collect()
}

/// The schemas that a target says are retired (R11).
async fn retired_in(world: &World, stream: &StreamId) -> Vec<String> {
    let origin = world.storage.event_store.origin(stream).await.unwrap();
    let origin = origin.expect("a migration wrote it");
    origin.retired.iter().map(ToString::to_string).collect()
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_copied_transformed_verified_and_cut_over() {
    let world = World::with_order(&["Old", "Noise", "Keep", "Split", "Noise"]).await;
    let object = &world.order;
    let source = world.document(object).await.active;
    let result = world
        .migrate(object)
        .to_stream("order-1-v2")
        .transform(rules())
        .backup(BackupOptions::new().include_document().tag("why", "test"))
        .close_books(
            BookClosingOptions::new()
                .archive(BackupOptions::new())
                .metadata("ticket", "42"),
        )
        .execute()
        .await
        .unwrap();
    assert!(result.is_success(), "{result:?}");
    assert_eq!(
        schemas(&world, object).await,
        ["Old v2", "Keep v1", "Split v2", "Split v2"]
    );

    let verification = result.object.unwrap().verification.unwrap();
    assert_eq!(verification.source_events, Revision(5));
    assert_eq!(verification.target_events, Revision(4));
    assert!(verification.ledger.balances());
    assert_eq!(verification.ledger.dropped["rules"], 2);

    let document = world.document(object).await;
    assert!(document.active.stream.as_str().starts_with("order-1-v2."));
    let entry = document.terminated(&source).unwrap();
    assert_eq!(entry.metadata["ticket"], "42");
    assert_eq!(entry.archive.as_ref().unwrap().events, 5);
    assert!(entry.books_closed_at.is_some());
    assert_eq!(result.statistics.backups[0].events, 5);

    let retired = retired_in(&world, &document.active.stream).await;
    assert_eq!(retired, ["Noise v1", "Old v1", "Split v1"], "R11");
    assert!(world.storage.locks().list().await.unwrap().is_empty(), "I8");
}

#[tokio::test(start_paused = true)]
async fn r11_what_was_retired_once_stays_retired_in_later_streams() {
    let world = World::with_order(&["Old", "Keep"]).await;
    let object = &world.order;
    for migrate in [
        world.migrate(object).transform(rules()),
        world.migrate(object),
    ] {
        assert!(migrate.execute().await.unwrap().is_success());
        let active = world.document(object).await.active;
        assert_eq!(retired_in(&world, &active.stream).await, ["Old v1"]);
    }
}

/// R11: what an earlier migration retired stays so, also where its first cell holds no events.
#[tokio::test(start_paused = true)]
async fn a_later_migration_retires_what_an_earlier_one_has_retired() {
    let world = World::with_order(&["Noise"]).await;
    let object = &world.order;
    let migrated = world.migrate(object).transform(rules()).execute();
    assert!(migrated.await.unwrap().is_success());
    let keep = vec![event("2", "Keep")];
    world.storage.append(object, keep).await.unwrap();
    let again = world.migrate(object).execute().await.unwrap();
    assert!(again.is_success());
    let noise = vec![event("3", "Noise")];
    let refused = world.storage.append(object, noise).await;
    assert_eq!(*refused.unwrap_err().kind(), ErrorKind::Invalid);
}

#[tokio::test(start_paused = true)]
async fn an_identity_migration_keeps_every_byte_and_is_done_once() {
    let world = World::with_order(&["A", "B", "C"]).await;
    let object = &world.order;
    let before = world
        .storage
        .events(&world.document(object).await.active.stream);
    let result = world.migrate(object).execute().await.unwrap();
    assert!(result.is_success());
    let after = world.document(object).await;
    assert_eq!(world.storage.events(&after.active.stream), before);
    let again = world.migrate(object).execute().await.unwrap();
    assert!(again.was_up_to_date(), "{again:?}");
    assert_eq!(world.document(object).await, after);
    let forced = world.migrate(object).again().execute().await.unwrap();
    assert!(!forced.was_up_to_date());
    assert_eq!(world.document(object).await.terminated.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_empty_stream_and_one_that_is_dropped_whole_are_migrated_too() {
    let world = World::new();
    for (id, types) in [
        ("order/empty", &[][..]),
        ("order/noise", &["Noise", "Noise", "Noise"]),
    ] {
        let object = world.object(id, types).await;
        let result = world
            .migrate(&object)
            .transform(rules())
            .execute()
            .await
            .unwrap();
        assert!(result.is_success(), "{result:?}");
        assert!(schemas(&world, &object).await.is_empty());
        assert_eq!(world.document(&object).await.terminated.len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn many_objects_are_migrated_and_one_failure_is_no_success() {
    let world = World::new();
    for n in 0..20 {
        let types: &[&str] = if n == 13 { &["Bad"] } else { &["Old", "Noise"] };
        world.object(&format!("order/{n}"), types).await;
    }
    world.object("customer/1", &["Old"]).await;
    let result = world
        .service
        .migrate_named("order".parse().unwrap())
        .transform(rules())
        .on_failure(OnFailure::Continue)
        .batch(7)
        .concurrency(3)
        .backup(BackupOptions::new())
        .close_books(BookClosingOptions::new().archive(BackupOptions::new()))
        .execute()
        .await
        .unwrap();
    assert!(!result.is_success());
    assert_eq!(result.status, MigrationStatus::Failed);
    assert_eq!(
        (result.statistics.migrated, result.statistics.failed),
        (19, 1)
    );
    assert_eq!(result.statistics.failures[0].object.to_string(), "order/13");
    assert_eq!(
        (
            result.statistics.counts.ledger.source,
            result.statistics.counts.ledger.outputs
        ),
        (38, 19)
    );
    let untouched = world.document("customer/1").await;
    assert!(untouched.terminated.is_empty());

    let all = world
        .service
        .migrate_all()
        .transform(rules())
        .on_failure(OnFailure::Continue);
    assert_eq!(*all.scope(), Scope::All);
    let result = all.execute().await.unwrap();
    let numbers = (result.statistics.migrated, result.statistics.failed);
    assert_eq!((numbers, result.statistics.up_to_date), ((1, 1), 19));
}
