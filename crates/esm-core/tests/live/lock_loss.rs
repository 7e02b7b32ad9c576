use std::time::Duration;

use esm_core::ErrorKind;
use esm_core::migration::{MigrationStatus, WatchedMigration};

use crate::fixture::{Fixture, LONG, ids, slowly};

#[tokio::test(start_paused = true)]
async fn the_loss_of_the_lock_stops_the_run_and_loses_nothing() {
    let f = Fixture::with_events(400).await;
    let running = f.begin(|m| m.limits(slowly(10)));
    f.observe(|w| w.progress.as_ref().is_some_and(|p| p.events_copied > 20))
        .await;
    let migration = f.migration().await;
    let locks = f.world.locks();
    let held = locks.list().await.unwrap().remove(0);
    locks.break_lock(&held.name, held.token).await.unwrap();
    let result = running.result().await;
    assert_eq!(*result.error.unwrap().kind(), ErrorKind::LockLost);
    assert_eq!(result.status, MigrationStatus::Failed);
    f.append(400).await;
    let resumed = f.service.resume(migration).execute().await.unwrap();
    assert!(resumed.is_success());
    assert_eq!(f.read().await, ids(0..401));
}

/// Who watches from another process sees where the next run stands, not where the first one ended.
#[tokio::test(start_paused = true)]
async fn whoever_resumes_goes_on_telling_how_far_it_is() {
    let f = Fixture::with_events(400).await;
    let copied = |w: &WatchedMigration| w.progress.as_ref().map_or(0, |p| p.events_copied);
    let running = f.begin(|m| m.limits(slowly(10)));
    let first = copied(&f.observe(|w| copied(w) > 20).await);
    running.kill().await;
    let resuming = f.service.resume(f.migration().await);
    let resuming = resuming.lock(|lock| lock.timeout(LONG));
    let resuming = resuming.control(|c| c.publish(Duration::from_millis(100)));
    let resuming = tokio::spawn(resuming.execute());
    f.observe(|w| copied(w) > first + 20).await;
    assert!(resuming.await.unwrap().unwrap().is_success());
}
