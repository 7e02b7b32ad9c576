//! The newest migrations, and those at work, without reading all journals.

use std::time::Duration;

use esm_core::id::MigrationId;
use esm_core::router::RoutingTable;
use esm_testkit::faults::{At, Fault, FaultPlan};

use crate::world::{World, rules, unfinished};

const MILLISECOND: Duration = Duration::from_millis(1);

fn order(number: usize) -> String {
    format!("order/{number}")
}

/// Migrates a new order alone, a millisecond after whatever was before: ids are ordered by time.
async fn migrate_one(world: &World, number: usize) -> MigrationId {
    world.storage.environment.clock.sleep(MILLISECOND).await;
    let order = world.object(&order(number), &["Old"]).await;
    let ended = world.migrate(&order).transform(rules()).execute().await;
    world.succeeded(ended).migration
}

/// A world in which each of so many orders was migrated alone, and these migrations, oldest first.
async fn migrated(orders: usize) -> (World, Vec<MigrationId>) {
    let world = World::new();
    let mut migrations = Vec::new();
    for number in 0..orders {
        migrations.push(migrate_one(&world, number).await);
    }
    (world, migrations)
}

/// What [`MigrationService::newest`](esm_core::migration::MigrationService::newest) returns, and
/// the number of journals that it reads.
async fn newest(world: &World, most: usize) -> (Vec<MigrationId>, u64, usize) {
    let plan = FaultPlan::new();
    let service = plan.actor("observer").migration_service(&world.storage);
    let found = service.newest(most).await.unwrap();
    let ids = found.migrations.iter().map(|state| state.migration);
    // a journal is read from its first record on
    let begins = |key: &str| key.starts_with("journal of") && key.ends_with("#0");
    let operations = plan.log().operations();
    let reads = operations.iter().filter(|o| o.call.name == "records.get");
    let read = reads.filter(|o| begins(&o.call.key)).count();
    (ids.collect(), found.not_read, read)
}

#[tokio::test(start_paused = true)]
async fn only_the_newest_journals_are_read_and_the_others_are_counted() {
    let (world, migrations) = migrated(9).await;
    for most in [0, 1, 4, 8] {
        let expected = migrations[9 - most..].to_vec();
        let found = newest(&world, most).await;
        assert_eq!(found, (expected, 9 - most as u64, most));
    }
    for most in [9, 10, usize::MAX] {
        assert_eq!(newest(&world, most).await, (migrations.clone(), 0, 9));
    }
}

#[tokio::test(start_paused = true)]
async fn an_older_migration_at_work_is_read_too() {
    let (world, mut migrations) = migrated(4).await;
    world.storage.environment.clock.sleep(MILLISECOND).await;
    world.object("order/slow", &["Old"]).await;
    let plan = FaultPlan::new().with(At::Named("event_store.close", 0), Fault::CrashBefore);
    let actor = plan.actor("slow");
    let slow = actor.migration_service(&world.storage);
    let slow = slow.migrate("order/slow".parse().unwrap());
    assert!(actor.run(slow.transform(rules()).execute()).await.is_err());
    let slow = unfinished(&world.service).await.unwrap();
    for number in 10..13 {
        migrations.push(migrate_one(&world, number).await);
    }
    // its lock is held
    let expected = [slow.migration, migrations[5], migrations[6]].to_vec();
    assert_eq!(newest(&world, 2).await, (expected, 5, 3));

    let table = RoutingTable::new(world.storage.records());
    let object = "order/0".parse().unwrap();
    table.enlist(migrations[0], &[object]).await.unwrap();
    let expected = [migrations[0], slow.migration, migrations[6]].to_vec();
    assert_eq!(newest(&world, 1).await, (expected, 5, 3));
}
