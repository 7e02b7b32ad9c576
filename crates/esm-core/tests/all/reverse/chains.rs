//! Several migrations of an object, back and forth, and over stores.

use std::sync::Arc;

use esm_core::ErrorKind;
use esm_core::event::Revision;
use esm_core::id::ObjectId;
use esm_core::object::KnownStores;
use esm_core::router::{ExpectedRevision, ObjectClient};
use esm_core::store::EventStore;
use esm_core::transform::Identity;

use super::back::{down, up};
use crate::world::{World, versioned};

#[tokio::test(start_paused = true)]
async fn the_newest_goes_back_first_then_the_one_before_it() {
    let w = World::watched(&[("order/1", &["Old", "Noise"])]).await;
    let first = w.migrated("order/1").await;
    w.append("order/1", versioned("a", "Old", 2)).await;
    let builder = w.migrate("order/1").transform(Identity);
    let second = w.succeeded(builder.execute().await).migration;
    w.append("order/1", versioned("b", "Old", 2)).await;

    let before = w.everything();
    let error = w.back(first).execute().await.unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::Conflict { .. }),
        "{error}"
    );
    assert!(error.to_string().contains(&second.to_string()), "{error}");
    assert_eq!(w.everything(), before);

    w.succeeded(w.service.roll_back(second).execute().await);
    // the restoration of T replaces T
    assert_eq!(
        w.lines("order/1").await,
        ["Old v2 order/1-0", "Old v2 a", "Old v2 b"]
    );
    w.append("order/1", versioned("c", "Old", 2)).await;
    w.succeeded(w.back(first).execute().await);
    let lines = w.lines("order/1").await;
    let all = [
        "Old v1 order/1-0",
        "Noise v1 order/1-1",
        "Old v1 a",
        "Old v1 b",
        "Old v1 c",
    ];
    assert_eq!(lines, all);
    // both are reversed
    assert!(w.succeeded(w.back(first).execute().await).was_up_to_date());
    assert!(w.succeeded(w.back(second).execute().await).was_up_to_date());
}

#[tokio::test(start_paused = true)]
async fn a_rollback_is_rolled_back_and_that_again() {
    let w = World::watched(&[("order/1", &["Old", "Noise"])]).await;
    let forward = w.migrated("order/1").await;
    w.append("order/1", versioned("a", "Old", 2)).await;
    let back = w.succeeded(w.back(forward).execute().await).migration;
    w.append("order/1", versioned("b", "Old", 1)).await;
    // what came since the rollback goes through the migration's own transformation
    let redo = w.service.roll_back(back).down(up()).execute().await;
    w.succeeded(redo);
    let lines = w.lines("order/1").await;
    assert_eq!(lines, ["Old v2 order/1-0", "Old v2 a", "Old v2 b"]);
    w.append("order/1", versioned("c", "Old", 2)).await;
    // and the migration itself can be rolled back once more: what is active restores its target
    w.succeeded(w.back(forward).execute().await);
    let lines = w.lines("order/1").await;
    let all = [
        "Old v1 order/1-0",
        "Noise v1 order/1-1",
        "Old v1 a",
        "Old v1 b",
        "Old v1 c",
    ];
    assert_eq!(lines, all);
    assert_eq!(w.document("order/1").await.terminated.len(), 4);
}

#[tokio::test(start_paused = true)]
async fn results_that_a_rollback_of_a_rollback_brought_back_are_not_transformed_again() {
    let w = World::watched(&[("order/1", &["Old", "Noise"])]).await;
    let mut newest = w.migrated("order/1").await;
    for _ in 0..3 {
        newest = w.succeeded(w.back(newest).execute().await).migration;
        newest = w.succeeded(w.back(newest).execute().await).migration;
        let result = w.migrate("order/1").transform(up()).execute().await;
        assert!(w.succeeded(result).was_up_to_date());
        assert_eq!(w.lines("order/1").await, ["Old v2 order/1-0"]);
        let other = w
            .migrate("order/1")
            .transform(Identity)
            .dry_run()
            .await
            .unwrap();
        assert_eq!(other.up_to_date, 0, "another transformation");
    }
    // nor is anything taken for done that was brought back before it
    newest = w.succeeded(w.back(newest).execute().await).migration;
    w.migrated("order/1").await;
    assert_eq!(w.lines("order/1").await, ["Old v2 order/1-0"]);
    assert!(w.back(newest).execute().await.is_err());
}

#[tokio::test(start_paused = true)]
async fn the_same_migration_again_after_a_rollback() {
    let w = World::watched(&[("order/1", &["Old"])]).await;
    let first = w.migrated("order/1").await;
    w.succeeded(w.back(first).execute().await);
    let second = w.migrated("order/1").await;
    assert_eq!(
        w.lines("order/1").await,
        ["Old v2 order/1-0"],
        "it is not up to date"
    );
    let error = w.back(first).execute().await.unwrap_err();
    assert!(error.to_string().contains(&second.to_string()), "{error}");
    w.succeeded(w.back(second).execute().await);
    assert_eq!(w.lines("order/1").await, ["Old v1 order/1-0"]);
}

#[tokio::test(start_paused = true)]
async fn a_move_to_another_store_goes_back_to_where_it_came_from() {
    let w = World::watched(&[("order/1", &["Old", "Noise"])]).await;
    let other: Arc<dyn EventStore> = Arc::new(w.storage.another_event_store());
    let stores = w.stores().with(Arc::clone(&other));
    let service = w.process_with(&other);
    let client = ObjectClient::new(w.storage.records(), stores, w.storage.environment.clone());
    let object: ObjectId = "order/1".parse().unwrap();
    let moved = service.migrate(object.clone()).transform(up());
    let moved = moved.to_store(Arc::clone(&other)).execute().await.unwrap();
    assert!(moved.is_success(), "{moved:?}");
    assert_eq!(w.active("order/1").await.store, other.id());
    let (any, since) = (ExpectedRevision::Any, vec![versioned("a", "Old", 2)]);
    client.append(&object, any, since).await.unwrap();

    // a process that does not know the other store gets an error
    let error = w.back(moved.migration).execute().await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::UnknownStore, "{error}");

    let back = service.roll_back(moved.migration).down(down());
    let back = back.execute().await.unwrap();
    assert!(back.is_success(), "{back:?}");
    assert_eq!(w.active("order/1").await.store, w.stores().home().id());
    let lines = w.lines("order/1").await;
    assert_eq!(
        lines,
        ["Old v1 order/1-0", "Noise v1 order/1-1", "Old v1 a"]
    );
    let known = KnownStores::new(w.storage.records()).list().await.unwrap();
    assert!(known.contains(&other.id()));
    let closed = other
        .tail(&moved.object.unwrap().target.stream)
        .await
        .unwrap();
    assert_eq!(closed.close().unwrap().events, Revision(2));
}
