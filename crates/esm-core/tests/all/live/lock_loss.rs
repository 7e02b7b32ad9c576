use std::sync::Arc;
use std::time::Duration;

use esm_core::ErrorKind;
use esm_core::id::StoreId;
use esm_core::migration::ControlOptions;
use esm_core::migration::{MigrationStatus, WatchedMigration};
use esm_testkit::faults::{At, Fault, FaultPlan, Interjection};

use super::running::{LONG, ids, numbered, slowly};
use crate::world::World;

#[tokio::test(start_paused = true)]
async fn the_loss_of_the_lock_stops_the_run_and_loses_nothing() {
    let f = World::with_events(400).await;
    let running = f.begin(|m| m.limits(slowly(10)));
    f.observe(|w| w.progress.as_ref().is_some_and(|p| p.events_copied > 20))
        .await;
    let migration = f.begun().await;
    let locks = f.storage.locks();
    let held = locks.list().await.unwrap().remove(0);
    locks.break_lock(&held.name, held.token).await.unwrap();
    let result = running.result().await;
    assert_eq!(*result.error.unwrap().kind(), ErrorKind::LockLost);
    assert_eq!(result.status, MigrationStatus::Failed);
    f.append(&f.order, numbered(400)).await;
    let resumed = f.service.resume(migration).execute().await.unwrap();
    assert!(resumed.is_success());
    assert_eq!(f.ids(&f.order).await, ids(0..401));
}

/// A process that is frozen in a write to its target wakes up and has lost its lock, while the target
/// was discarded. What it wrote belongs to nobody.
#[tokio::test(start_paused = true)]
async fn what_a_process_that_lost_its_lock_wrote_to_a_discarded_target_is_removed() {
    for write in 0..3 {
        let f = World::with_events(30).await;
        let source = f.active(&f.order).await;
        let (rival, locks) = (f.operator(), f.storage.locks());
        let clock = Arc::clone(&f.storage.environment.clock);
        let meanwhile = Interjection::new(move || {
            let (rival, locks, clock) = (rival.clone(), Arc::clone(&locks), Arc::clone(&clock));
            async move {
                let held = locks.list().await.unwrap().remove(0);
                locks.break_lock(&held.name, held.token).await.unwrap();
                let undo = rival.roll_back(held.migration.unwrap()).undo_only();
                let undone = undo.execute().await.unwrap();
                assert_eq!(undone.status, MigrationStatus::RolledBack);
                // until its next renewal
                clock.sleep(Duration::from_millis(1500)).await;
            }
        });
        let at = At::Named("event_store.append", write);
        let plan = FaultPlan::new().with(at, Fault::Interject(meanwhile));
        let frozen = plan.actor("frozen").migration_service(&f.storage);
        let migration = frozen.migrate(f.order.clone()).cells(10, 1 << 20);
        let migration = migration.lock(|lock| lock.heartbeat(Duration::from_secs(1)));
        let result = migration.execute().await.unwrap();
        assert_eq!(*result.error.unwrap().kind(), ErrorKind::LockLost);
        let appends = plan.log().names()["event_store.append"];
        assert!(appends > write, "the write that was under way was made");
        assert_eq!(f.storage.event_store.stream_ids(), [source.stream]);
        assert_eq!(f.ids(&f.order).await, ids(0..30));
    }
}

/// A process is frozen in a write to its target. Meanwhile the store gets a new id, and another
/// process completes the migration. The first one, which knows the store by its old id, does not take
/// the target for one that it may discard.
#[tokio::test(start_paused = true)]
async fn a_process_that_lost_its_lock_discards_no_target_under_a_new_id_of_the_store() {
    for write in 0..3 {
        let f = World::with_events(30).await;
        let mut renewed = f.storage.clone();
        let id = StoreId::from_uuid(uuid::Uuid::from_u128(0xB));
        renewed.event_store = renewed.event_store.with_new_id(id);
        let renewed = World::over(renewed);
        let (rival, locks) = (renewed.operator(), f.storage.locks());
        let clock = Arc::clone(&f.storage.environment.clock);
        let meanwhile = Interjection::new(move || {
            let (rival, locks, clock) = (rival.clone(), Arc::clone(&locks), Arc::clone(&clock));
            async move {
                let held = locks.list().await.unwrap().remove(0);
                locks.break_lock(&held.name, held.token).await.unwrap();
                let resumed = rival.resume(held.migration.unwrap()).execute().await;
                assert!(resumed.unwrap().is_success());
                // until its next renewal
                clock.sleep(Duration::from_millis(1500)).await;
            }
        });
        let at = At::Named("event_store.append", write);
        let plan = FaultPlan::new().with(at, Fault::Interject(meanwhile));
        let frozen = plan.actor("frozen").migration_service(&f.storage);
        let migration = frozen.migrate(f.order.clone()).cells(10, 1 << 20);
        let migration = migration.lock(|lock| lock.heartbeat(Duration::from_secs(1)));
        let result = migration.execute().await.unwrap();
        assert_eq!(*result.error.unwrap().kind(), ErrorKind::LockLost);
        assert_eq!(renewed.active(&f.order).await.store, id);
        assert_eq!(renewed.ids(&f.order).await, ids(0..30));
    }
}

/// Another process observes the progress of the next run, not the end of the first one.
#[tokio::test(start_paused = true)]
async fn whoever_resumes_goes_on_telling_how_far_it_is() {
    let f = World::with_events(400).await;
    let copied = |w: &WatchedMigration| w.progress.as_ref().map_or(0, |p| p.events_copied);
    let running = f.begin(|m| m.limits(slowly(10)));
    let first = copied(&f.observe(|w| copied(w) > 20).await);
    running.kill().await;
    let resuming = f.service.resume(f.begun().await);
    let resuming = resuming.lock(|lock| lock.timeout(LONG));
    let resuming = resuming.control(ControlOptions::default().publish(Duration::from_millis(100)));
    let resuming = tokio::spawn(resuming.execute());
    f.observe(|w| copied(w) > first + 20).await;
    assert!(resuming.await.unwrap().unwrap().is_success());
}
