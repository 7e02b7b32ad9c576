//! Migrations of many objects: those that others create meanwhile, and which failure is reported.

use esm_core::migration::{MigrationStatus, OnFailure};
use esm_testkit::faults::{At, Fault, FaultPlan, Interjection};

use crate::world::{World, orders, rules};

/// R23: the scope is listed again until nothing more is found in the old schema.
#[tokio::test(start_paused = true)]
async fn what_was_created_meanwhile_is_migrated_too() {
    let world = World::with(&[("order/1", &["Old"]), ("order/2", &["Keep"])]).await;
    let storage = world.storage.clone();
    let creates = Interjection::new(move || {
        let storage = storage.clone();
        async move {
            // listed before those that there were
            let late = World::over(storage).object("order/0", &["Old"]).await;
            assert_eq!(late.to_string(), "order/0");
        }
    });
    let at = At::Named("event_store.close", 1);
    let plan = FaultPlan::new().with(at, Fault::Interject(creates));
    let migration = world.unlocked(&plan.actor("first")).migrate_named(orders());
    let result = migration.transform(rules()).concurrency(1).execute().await;
    let result = result.unwrap();
    assert!(result.is_success(), "{result:?}");
    assert_eq!(result.statistics.migrated, 3);
    for order in ["order/0", "order/1", "order/2"] {
        let document = world.document(order).await;
        assert_eq!(document.terminated.len(), 1, "{order}");
    }
}

#[tokio::test(start_paused = true)]
async fn of_several_failures_the_first_is_told_and_all_are_named() {
    let bad: [(_, &[&str]); 3] = [
        ("order/1", &["Bad"]),
        ("order/2", &["Old"]),
        ("order/3", &["Bad"]),
    ];
    let world = World::with(&bad).await;
    let migration = world.service.migrate_named(orders()).transform(rules());
    let migration = migration.on_failure(OnFailure::Continue).concurrency(1);
    let result = migration.execute().await.unwrap();
    let error = result.error.unwrap();
    assert!(error.to_string().contains("order/1"), "{error}");
    let named = result
        .statistics
        .failures
        .iter()
        .map(|f| f.object.to_string());
    assert_eq!(named.collect::<Vec<_>>(), ["order/1", "order/3"]);
}

/// Whatever fails once: what says that it is undone has left no target.
#[tokio::test(start_paused = true)]
async fn what_could_not_be_looked_at_has_not_been_undone() {
    let mut reported = 0;
    for at in 0.. {
        let world = World::with(&[("order/1", &["Old"]), ("order/2", &["Old"])]).await;
        let closes = At::Each("event_store.close");
        let plan = FaultPlan::new().with(closes, Fault::FailBefore);
        let migration = world.unlocked(&plan.actor("first")).migrate_named(orders());
        let migration = migration.transform(rules()).on_failure(OnFailure::Continue);
        let failed = migration.execute().await.unwrap().migration;
        let streams = world.storage.event_store.stream_ids();
        assert_eq!(streams.len(), 4, "both targets are begun: {streams:?}");

        let plan = FaultPlan::new().with(At::Operation(at), Fault::FailBefore);
        let undo = world
            .unlocked(&plan.actor("undo"))
            .roll_back(failed)
            .execute()
            .await;
        if at >= plan.log().operations().len() as u64 {
            assert!(at > 10 && reported > 0, "{at} {reported}");
            break;
        }
        match undo {
            Ok(undone) if undone.status == MigrationStatus::RolledBack => {
                let streams = world.storage.event_store.stream_ids();
                assert_eq!(streams.len(), 2, "fault {at}: {streams:?}");
            }
            Ok(undone) => reported += u64::from(undone.error.is_some()),
            Err(_) => reported += 1,
        }
    }
}
