use std::time::Duration;

use esm_core::ErrorKind;
use esm_core::migration::ControlOptions;
use esm_core::migration::{MigrationStatus, WatchedMigration};

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
