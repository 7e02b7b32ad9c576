//! The comparison beside the copy: what an error of either leaves.

use esm_core::migration::{HookPoint, Hooks, MigrationResult};
use esm_core::transform::EventTransformer;
use esm_core::{ErrorKind, Result};
use esm_testkit::faults::{At, Fault, FaultPlan};

use super::failures::Counting;
use crate::world::{World, rules, run, stalled_at};

/// Source events, each in a cell of its own, there and in the target.
const EVENTS: usize = 120;

/// Migrates with this plan, in so many lanes; returns the result and how often the target was read.
async fn migrated(
    world: &World,
    plan: &FaultPlan,
    lanes: usize,
    transformer: impl EventTransformer,
) -> (Result<MigrationResult>, usize) {
    let source = world.active(&world.order).await.stream;
    let service = plan.actor("migrator").migration_service(&world.storage);
    let migration = service.migrate(world.order.clone()).transform(transformer);
    let migration = migration.cells(1, 1 << 20).concurrency(lanes);
    let result = migration.execute().await;
    let operations = plan.log().operations();
    let of_target = |what: &str| what != source.to_string();
    let reads = operations
        .iter()
        .filter(|o| o.call.name == "event_store.read" && of_target(&o.call.key));
    (result, reads.count())
}

#[tokio::test(start_paused = true)]
async fn what_was_compared_is_not_compared_again_after_an_error_of_the_copy() {
    let whole = World::with_order(&["Old"; EVENTS]).await;
    let (result, reads) = migrated(&whole, &FaultPlan::new(), 2, rules()).await;
    assert!(result.unwrap().is_success());

    let late = EVENTS as u64 - 10;
    let world = World::with_order(&["Old"; EVENTS]).await;
    let plan = FaultPlan::new().with(At::Named("event_store.append", late), Fault::FailBefore);
    let (result, again) = migrated(&world, &plan, 2, rules()).await;
    assert!(result.unwrap().is_success());
    assert!(again <= reads + 4, "{again} reads instead of {reads}");
}

/// Whichever read of a record fails: that of the journal beside the comparison is among them.
#[tokio::test(start_paused = true)]
async fn what_was_compared_is_not_compared_again_after_an_error_of_the_journal() {
    let plan = FaultPlan::new();
    let whole = World::with_order(&["Old"; EVENTS]).await;
    let (result, reads) = migrated(&whole, &plan, 1, rules()).await;
    assert!(result.unwrap().is_success());

    let mut repeated = 0;
    for at in 0..plan.log().names()["records.get"] {
        let world = World::with_order(&["Old"; EVENTS]).await;
        let plan = FaultPlan::new().with(At::Named("records.get", at), Fault::FailBefore);
        let (result, again) = migrated(&world, &plan, 1, rules()).await;
        if result.is_ok_and(|result| result.is_success()) {
            repeated += 1;
            assert!(again <= reads + 2, "{at}: {again} reads instead of {reads}");
        }
    }
    assert!(repeated > 0, "no read failed that is repeated");
}

/// In the same run, although the copy fails too: a transformer that is not deterministic is found.
#[tokio::test(start_paused = true)]
async fn a_difference_ends_the_run_whatever_becomes_of_the_copy() {
    for at in 0..20 {
        let world = World::with_order(&["Old"; EVENTS]).await;
        let plan = FaultPlan::new().with(At::Named("event_store.append", at), Fault::FailBefore);
        let (result, _) = migrated(&world, &plan, 2, Counting::default()).await;
        let error = result.unwrap().error.unwrap();
        assert_eq!(
            *error.kind(),
            ErrorKind::VerificationFailed,
            "{at}: {error}"
        );
        assert!(!world.source_is_closed());
    }
}

/// Whoever resumes a migration writes its progress and answers next, so the one before is through with
/// them before the lock is free.
#[tokio::test(start_paused = true)]
async fn a_migration_that_stops_releases_its_lock_last() {
    let world = World::with_order(&["Old"; 3]).await;
    let plan = FaultPlan::new();
    let service = plan.actor("migrator").migration_service(&world.storage);
    let clock = world.storage.environment.clock.clone();
    let stop = move |_| {
        let clock = clock.clone();
        async move {
            clock.sleep(std::time::Duration::from_secs(60)).await;
            Err("not now".to_owned())
        }
    };
    let hooks = Hooks::default().veto(HookPoint::BeforeCutover, "stop", stop);
    let stopped = service.migrate(world.order.clone()).hooks(hooks);
    let stopped = stopped.execute().await.unwrap();
    assert!(!stopped.is_success(), "{stopped:?}");
    let operations = plan.log().operations();
    let released = operations
        .iter()
        .position(|o| o.call.name == "locks.release");
    let published = (operations.iter()).rposition(|o| o.call.key.starts_with("Progress"));
    assert!(
        published.is_some() && published < released,
        "{}",
        plan.log()
    );
}

/// The copy is not begun anew for it: so many cells, so many appends.
#[tokio::test(start_paused = true)]
async fn a_read_that_fails_beside_the_copy_does_not_stop_it() {
    let plan = FaultPlan::new();
    let whole = World::with_order(&["Old"; EVENTS]).await;
    let (result, _) = migrated(&whole, &plan, 2, rules()).await;
    let cells = result.unwrap().object.unwrap().cells;
    let reads = plan.log().names()["event_store.read"];
    for at in 0..reads {
        let world = World::with_order(&["Old"; EVENTS]).await;
        let plan = FaultPlan::new().with(At::Named("event_store.read", at), Fault::FailBefore);
        let (result, _) = migrated(&world, &plan, 2, rules()).await;
        if let Ok(result) = result {
            assert!(result.is_success(), "{at}: {result:?}");
            assert_eq!(plan.log().names()["event_store.append"], cells, "{at}");
        }
    }
}

/// A holder is frozen in an append. Meanwhile another migration closes the source to its own target,
/// and a resumption of the first one discards what this one has copied. Nothing differs: it is
/// superseded.
#[tokio::test(start_paused = true)]
async fn a_target_that_was_discarded_for_another_is_no_difference() {
    for at in 0..8 {
        let world = World::with_order(&["Old"; 8]).await;
        let (plan, gate) = stalled_at(At::Named("event_store.append", at));
        let frozen = world.unlocked(&plan.actor("frozen"));
        let migration = frozen.migrate(world.order.clone()).cells(1, 1 << 20);
        let first = run(migration.concurrency(2));
        gate.reached().await;
        let begun = world.migration().await.unwrap();
        let other = world.unlocked(&FaultPlan::new().actor("other"));
        let other = other.migrate(world.order.clone()).execute().await.unwrap();
        assert!(other.is_success());
        let heir = world.unlocked(&FaultPlan::new().actor("heir"));
        let resumed = heir.resume(begun).transform(rules()).execute().await;
        assert!(resumed.unwrap().is_success());
        gate.open();
        let error = first.await.unwrap().unwrap().error.unwrap();
        assert_ne!(
            *error.kind(),
            ErrorKind::VerificationFailed,
            "{at}: {error}"
        );
    }
}
